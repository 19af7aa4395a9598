// graft convert: any weight file into a model of graft (.safetensors) or an .npz, with the import's
// certificate.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "graft/api/written_form.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

struct ConvertFlags {
  std::string in, out, arch, cut = "auto", channels = "repeat";
  SourceFlags source;
  bool json = false;
};

int convert(const ConvertFlags& flags) {
  check_written_form(flags.out);
  check_writable(flags.out);
  models::Imported imported = models::import_weights(
      flags.in,
      flags.source.options(
          {.arch = flags.arch, .cut = flags.cut, .channels = channel_rule(flags.channels)}));
  apply_source_flags(flags.source, imported);
  write_by_extension(flags.out, imported.model);
  if (flags.json) {
    auto document = nlohmann::ordered_json::parse(imported.certificate.to_json());
    document["written"] = {{"path", flags.out}, {"sha256", sha256_of_file(flags.out)}};
    result(document);
  } else
    result(imported.certificate.to_text());
  return 0;
}

}  // namespace

void add_convert(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "convert",
      "A weight file of any format into .safetensors (with a model card), .npz or .onnx");
  auto f = std::make_shared<ConvertFlags>();
  verb->add_option("IN", f->in,
                   ".safetensors, .npz, .onnx, .pt2, .tflite, .pth/.th, .h5/.keras, .params, or a "
                   "SavedModel's folder")
      ->required();
  verb->add_option("OUT", f->out, ".safetensors, .npz or .onnx")->required();
  verb->add_option("--arch", f->arch,
                   "The network's name, checked against the file (default: guessed from it)")
      ->check(CLI::IsMember(models::architecture_names()))
      ->type_name("NAME");
  verb->add_option("--cut", f->cut,
                   "auto: after the last whole stage in the file; or a stage: layer3, features.4")
      ->type_name("STAGE");
  verb->add_option("--channels", f->channels,
                   "repeat, or sum-conv1: a network that takes grey images")
      ->check(CLI::IsMember({"repeat", "sum-conv1"}))
      ->type_name("RULE");
  add_source_flags(*verb, f->source, ClassNames::asked_for);
  verb->add_flag("--json", f->json, "The certificate as JSON, and what was written");
  verb->footer("Example:\n  graft convert resnet18.pth resnet18.safetensors");
  verb->callback([&action, f] { action = [f] { return convert(*f); }; });
}

}  // namespace graft::tools
