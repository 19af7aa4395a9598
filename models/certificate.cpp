#include "graft/models/certificate.h"

#include <nlohmann/json.hpp>

#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"

namespace graft::models {
namespace {

std::string text_of(const Finding& finding) {
  return str(finding.what, finding.known ? " (" : " (guessed: ", finding.why, ")");
}

nlohmann::ordered_json json_of(const Finding& finding) {
  if (finding.what.empty()) return nullptr;
  return {{"value", finding.what}, {"known", finding.known}, {"why", finding.why}};
}

std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t shown = 8;
  if (names.size() <= shown) return str(names.size(), ": ", join(names));
  return str(names.size(), ": ", join(std::vector(names.begin(), names.begin() + shown)), " ...");
}

}  // namespace

std::string Certificate::to_text() const {
  std::string out = "import certificate\n";
  const auto line = [&](std::string name, const std::string& value) {
    if (value.empty()) return;
    name.resize(18, ' ');
    out += "  " + name + printable(value) + "\n";
  };
  line("file", path);
  line("format", str(format, ", ", naming));
  line("sha-256", sha256);
  line("network", architecture);
  line("tensors", str(matched, " matched, 0 missing, 0 unexpected, 0 of a wrong shape; ",
                      parameters, " parameters"));
  if (!unused.empty()) line("left out", list_of(unused));
  if (!ignored.empty()) line("beside it", list_of(ignored));
  if (neutral_norms > 0)
    line("batch norm",
         str(neutral_norms,
             " were folded into the convolutions and stand un-folded: neutral, the same function",
             biases.empty() ? "" : " (", biases, biases.empty() ? "" : ")"));
  else
    line("batch norm", biases);
  if (!eps.what.empty()) line("batch norm eps", text_of(eps));
  if (!stride.what.empty()) line("stride", text_of(stride));
  if (!stem_pool.what.empty()) line("stem pool", text_of(stem_pool));
  if (!preprocess.what.empty()) line("preprocessing", text_of(preprocess));
  line("cut", cut);
  line("head", head);
  line("source graph", comparison);
  line("statistics", statistics);
  line("images", images);
  line("not executed", not_executed);
  constexpr size_t shown_doubts = 8;
  for (size_t i = 0; i < std::min(doubts.size(), shown_doubts); ++i) line("DOUBTFUL", doubts[i]);
  if (doubts.size() > shown_doubts)
    line("DOUBTFUL", str("and ", doubts.size() - shown_doubts, " doubts more"));
  for (const std::string& note : notes) line("note", note);
  return out;
}

std::string Certificate::to_json() const {
  const nlohmann::ordered_json j = {{"path", path},
                                    {"format", format},
                                    {"naming", naming},
                                    {"sha256", sha256},
                                    {"architecture", architecture},
                                    {"matched", matched},
                                    {"missing", nlohmann::json::array()},
                                    {"unexpected", nlohmann::json::array()},
                                    {"wrong_shape", nlohmann::json::array()},
                                    {"parameters", parameters},
                                    {"left_out", unused},
                                    {"ignored", ignored},
                                    {"neutral_norms", neutral_norms},
                                    {"biases", biases},
                                    {"eps", json_of(eps)},
                                    {"stride", json_of(stride)},
                                    {"stem_pool", json_of(stem_pool)},
                                    {"preprocess", json_of(preprocess)},
                                    {"cut", cut},
                                    {"head", head},
                                    {"comparison", comparison},
                                    {"statistics", statistics},
                                    {"images", images},
                                    {"not_executed", not_executed},
                                    {"doubts", doubts},
                                    {"notes", notes}};
  return j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace graft::models
