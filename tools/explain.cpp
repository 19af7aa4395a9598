// graft explain: pictures of what in an image spoke for the network's answer (Grad-CAM).
#include "graft/api/explain.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/stop.h"
#include "graft/io/images/png_writer.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/image_arguments.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/verbs.h"
#include "graft/train/inputs/table.h"

namespace graft::tools {
namespace {

struct ExplainFlags {
  std::string model, out, resize;
  std::vector<std::string> images;
  io::TableColumns columns;
  ExplainOptions options;
  SourceFlags source;
  int threads = 0;
  bool json = false;
};

int explain_images(const ExplainFlags& flags) {
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  models::Model model = load_with_head(flags.model, flags.source).model;
  const auto reader = train::input_of(model.card.preprocess);
  const std::vector<std::string> paths =
      collect_samples(flags.images, flags.columns, reader->files());
  const StandardInput input(paths);
  apply_resize(model.card.preprocess, flags.resize);
  file_system().create_directories(flags.out);
  PictureNames names;
  int64_t broken = 0;
  nlohmann::ordered_json document = nlohmann::ordered_json::array();
  for (const std::string& path : paths) {
    const ImageSource source = input.source(path);
    try {
      (void)reader->picture(*dataset_of({&source, 1}), 0, model.card.preprocess);
    } catch (const Error& error) {  // the others are explained
      if (error.code() != ErrorCode::bad_input) throw;
      ++broken;
      say("graft: ", error.what());
      document.push_back({{"path", printable(path)}, {"error", printable(error.what())}});
      continue;
    }
    const Explanation made = explain(model, source, flags.options);
    const std::string file = join_path(flags.out, names.stem(path) + "_explained.png");
    io::write_png(file, made.overlay);
    if (made.is_empty)
      say("note: ", path, ": no place at ", made.at, " speaks for ", made.name,
          "; the picture has no color");
    if (!flags.json)
      result(str(printable(path), "\t", printable(made.name), " ", fixed(made.value, 4), "\t",
                 printable(file), "\n"));
    document.push_back({{"path", printable(path)},
                        {"output", printable(made.name)},
                        {"index", made.output},
                        {"value", made.value},
                        {"at", printable(made.at)},
                        {"map", {made.map.size(0), made.map.size(1)}},
                        {"empty", made.is_empty},
                        {"picture", printable(file)}});
  }
  if (flags.json) result(document);
  return broken > 0 ? static_cast<int>(ErrorCode::bad_input) : 0;
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  auto* verb =
      app.add_subcommand("explain", "Pictures of what in an image spoke for the answer (Grad-CAM)");
  auto f = std::make_shared<ExplainFlags>();
  verb->add_option("MODEL", f->model, "A model of graft, or any weight file with a head")
      ->required();
  verb->add_option(
          "IMAGE", f->images,
          "Images, folders of images, tables of paths (.csv .tsv .txt .jsonl), or - for standard "
          "input")
      ->required();
  verb->add_option("--out", f->out,
                   "Folder for the pictures: NAME_explained.png, the image in grey with colors "
                   "from blue (nothing) to red (speaks most for the answer)")
      ->required()
      ->type_name("DIR");
  verb->add_option("--class", f->options.output,
                   "The answer that is asked about, by its name (default: the likeliest)")
      ->type_name("CLASS");
  verb->add_option("--at", f->options.at,
                   "The stage, or the path of a module, whose maps are looked at (default: the "
                   "last stage that gives maps)")
      ->type_name("STAGE");
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  add_source_flags(*verb, f->source, ClassNames::asked_for);
  verb->add_option("--image-column", f->columns.image,
                   "Of a table: the column that names images (default: found)")
      ->type_name("COLUMN");
  verb->add_option("--root", f->columns.root,
                   "Of a table: the folder that its paths start from (default: its own)")
      ->type_name("FOLDER");
  add_resize_flag(*verb, f->resize);
  add_pixel_flag(*verb);
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft explain run/model.safetensors photo.jpg --out why\n"
      "  graft explain run/model.safetensors photos --out why --class cat --at layer3\n"
      "An image that cannot be read is named on stderr; the others are explained, and the exit "
      "code is 3.");
  verb->callback([&action, f] { action = [f] { return explain_images(*f); }; });
}

}  // namespace graft::tools
