#include "graft/tools/network.h"

#include "graft/core/base/error.h"
#include "graft/tools/output.h"

namespace graft::tools {
models::Imported load_any(const std::string& path, const SourceFlags& source,
                          models::ImportOptions options) {
  models::Imported imported = graft::load_any(path, source.options(options));
  apply_source_flags(source, imported);
  if (imported.certificate.naming != models::kGraftNaming)
    say_text(imported.certificate.to_text());
  else
    for (const std::string& note : imported.certificate.notes) say("note: ", path, ": ", note);
  return imported;
}

models::Imported load_with_head(const std::string& path, const SourceFlags& source) {
  models::Imported imported = load_any(path, source);
  const std::string headless = headless_reason(imported);
  GRAFT_CHECK(headless.empty(), path, ": ", headless);
  return imported;
}

models::ChannelRule channel_rule(const std::string& name) {
  return name == "sum-conv1" ? models::ChannelRule::sum_conv1 : models::ChannelRule::repeat;
}

Calibration calibration_for(const std::string& precision, const models::ModelCard& card,
                            const std::string& path) {
  if (precision != "int8") return {};
  GRAFT_CHECK(!card.int8.empty(), path, ": is not calibrated for int8; graft evaluate ", path,
              " --data PATH --precision int8 --calibrate PATH --save FILE does it and keeps it");
  return card.int8;
}

void say_refusal(const std::string& refusal, const std::string& precision) {
  if (precision != "fp32" && !refusal.empty())
    say("note: --precision ", precision, ": this network is computed in fp32: ", refusal);
}

int say_not_finite(int64_t images, int64_t all, bool strict) {
  if (images == 0) return 0;
  say(strict ? "graft: " : "note: ", "the network's answers to ", images, " of ", all,
      " images are not finite numbers (NaN or infinity), so they mean nothing: its weights may be "
      "damaged, or their values outgrow the precision");
  return strict ? static_cast<int>(ErrorCode::bad_input) : 0;
}

}  // namespace graft::tools
