// graft verify: are two files the same network, in weights and in answers; and where do they begin
// to differ.
#include <CLI/CLI.hpp>

#include "graft/core/runtime/exec_context.h"
#include "graft/models/comparison.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

struct VerifyFlags {
  std::string a, b;
  DeviceFlags device{.name = "cpu"};
  int threads = 0;
  bool json = false;
};

int verify(const VerifyFlags& flags) {
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  const Device device = open_named_device(flags.device, "fp32");
  models::Model a = models::import_weights(flags.a).model,
                b = models::import_weights(flags.b).model;
  for (models::Model* model : {&a, &b})
    if (model->network->device() != device) model->network->to(device);
  const models::Comparison comparison = models::compare(a, b);
  result(flags.json ? comparison.to_json() + "\n" : comparison.to_text());
  if (comparison.same_answers()) return 0;
  say(flags.a, " and ", flags.b, ": not the same network");
  return 3;
}

}  // namespace

void add_verify(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "verify",
      "Two files: the same weights, the same answers? The largest difference, and in which layer");
  auto f = std::make_shared<VerifyFlags>();
  verb->add_option("A", f->a, "A model of graft or any weight file")->required();
  verb->add_option("B", f->b, "Another, of any format")->required();
  add_device_flags(*verb, f->device);
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft verify resnet50.pth resnet50.onnx\nExit code 0: answers to the same "
      "random images agree within 1e-4 relative; 3: they do not.");
  verb->callback([&action, f] { action = [f] { return verify(*f); }; });
}

}  // namespace graft::tools
