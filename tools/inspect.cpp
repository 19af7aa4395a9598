// graft inspect: what a weight file holds, and what an import would make of it.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/io/weights/hdf5.h"
#include "graft/models/import.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

struct InspectFlags {
  std::string file, data;
  SourceFlags source;
  bool tensors = false, json = false;
};

// One screen: what the file is, what an import makes of it, and then, asked for or where nothing is
// understood, what it holds.
constexpr size_t kShownTensors = 12;

std::string tensor_lines(const io::WeightFile& file, bool all) {
  const size_t shown = all ? file.tensors.size() : std::min(kShownTensors, file.tensors.size());
  size_t width = 4, at = 0;
  for (const auto& [name, tensor] : file.tensors)
    if (at++ < shown) width = std::max(width, printable(name).size());
  std::string out;
  at = 0;
  for (const auto& [name, tensor] : file.tensors) {
    if (at++ == shown) break;
    std::string padded = printable(name);
    padded.resize(width, ' ');
    out += str("  ", padded, "  ", std::string(name_of(tensor.dtype())), " ", tensor.shape(), "\n");
  }
  if (shown < file.tensors.size())
    out += str("  ... and ", file.tensors.size() - shown, " more (--tensors lists all)\n");
  return out;
}

std::string inspection_text(const InspectFlags& flags, const io::WeightFile& file,
                            const std::string& certificate, const std::string& refusal,
                            const models::Description& description) {
  int64_t numbers = 0, bytes = 0;
  for (const auto& [name, tensor] : file.tensors) {
    numbers += tensor.numel();
    bytes += tensor.bytes();
  }
  std::string out = str(printable(flags.file), ": ", file.format, ", ", file.tensors.size(),
                        " tensors, ", thousands(numbers), " numbers, ", size_text(bytes), "\n");
  if (!refusal.empty()) {
    out += str("as a network: ", printable(refusal), "\n");
    for (const std::string& note : file.notes) out += str("note: ", printable(note), "\n");
  }
  out += certificate;  // with the file's notes
  for (const auto& [title, text] :
       {std::pair("data", &description.data), std::pair("intended use", &description.intended_use),
        std::pair("limits", &description.limits)})
    if (!text->empty()) out += str("said of it, ", title, ": ", printable(*text), "\n");
  for (const auto& [key, value] : file.metadata)
    if (!key.starts_with(io::kKerasNameKey))  // a line a layer, which the certificate knows
      out += str("metadata ", printable(key), ": ",
                 printable(value.size() > 400 ? value.substr(0, 400) + "..." : value), "\n");
  if (flags.tensors || !refusal.empty()) return out + tensor_lines(file, flags.tensors);
  return out + "(--tensors lists the tensors, --json says everything)\n";
}

int inspect(const InspectFlags& flags) {
  const std::string& path = flags.file;
  const io::WeightFile file = io::read_weights(path);
  io::OpenedData images;
  if (!flags.data.empty()) images = io::open_data(flags.data, {.val_split = 0, .least_classes = 1});
  std::string certificate, refusal;
  models::Description description;
  nlohmann::ordered_json understood = nullptr;  // what nothing is understood of stays null
  try {
    models::Imported imported = models::import_weights(path, flags.source.options());
    apply_source_flags(flags.source, imported);
    if (images.train || images.val)
      check_on_images(imported.model, images.train ? images.train : images.val,
                      imported.certificate);
    certificate = imported.certificate.to_text();
    understood = nlohmann::ordered_json::parse(imported.certificate.to_json());
    description = imported.model.card.description;
    if (!description.empty())
      understood["description"] = nlohmann::ordered_json::parse(description.to_json());
    if (!imported.model.card.labels.empty()) understood["labels"] = imported.model.card.labels;
    if (!imported.model.card.task.empty())
      understood["task"] = nlohmann::ordered_json::parse(imported.model.card.task);
    understood["preprocess_fields"] =
        nlohmann::ordered_json::parse(imported.model.card.preprocess.to_json());
  } catch (const Error& error) {
    if (error.code() == ErrorCode::resource) throw;
    refusal = error.what();
  }
  if (flags.json) {
    nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
    for (const auto& [name, tensor] : file.tensors)
      tensors.push_back(
          {{"name", name},
           {"dtype", std::string(name_of(tensor.dtype()))},
           {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())}});
    nlohmann::ordered_json document = {{"path", path},
                                       {"format", file.format},
                                       {"notes", file.notes},
                                       {"metadata", file.metadata},
                                       {"tensors", tensors}};
    document["import"] = understood;
    document["import_refused"] =
        refusal.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(refusal);
    result(document);
    return 0;
  }
  result(inspection_text(flags, file, certificate, refusal, description));
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "inspect",
      "What a weight file holds: tensors, guessed architecture, preprocessing, what is missing");
  auto f = std::make_shared<InspectFlags>();
  verb->add_option("FILE", f->file,
                   ".safetensors, .npz, .onnx, .pt2, .tflite, .pth/.th, .h5/.keras, .params, or a "
                   "SavedModel's folder")
      ->required();
  verb->add_option("--data", f->data,
                   "Images of yours, as finetune takes them: a few are run through the network, "
                   "and what its batch norms' statistics say of them joins the certificate")
      ->type_name("PATH");
  add_pixel_flag(*verb);
  add_source_flags(*verb, f->source, ClassNames::asked_for);
  verb->add_flag("--tensors", f->tensors, "List every tensor with its type and shape");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer("Example:\n  graft inspect resnet50.onnx");
  verb->callback([&action, f] { action = [f] { return inspect(*f); }; });
}

}  // namespace graft::tools
