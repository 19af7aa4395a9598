// Gluon, MXNet's model zoo and GluonCV: ResNet v1 (a stride in the first 1x1) and v1b (in the 3x3),
// with the names of save_parameters (paths of blocks) and of export (symbols, numbered within a
// stage).
#include "graft/models/naming/scheme.h"

namespace graft::models {
namespace {

[[noreturn]] void refuse_v2() {
  bad_input(
      "the names are those of a ResNet v2 of Gluon (norm and ReLU before the convolutions), which "
      "graft does not have; its ONNX export runs as a graph");
}

void imply_gluon(Renamed& renamed, bool v1b) {
  renamed.eps = {1e-5, false, "MXNet's default; the file does not say"};
  if (v1b)
    renamed.stride_in_3x3 = {true, false, "GluonCV's v1b, by its names"};
  else
    renamed.stride_in_3x3 = {false, false, "Gluon's ResNet v1, by its names"};
  renamed.pool_pads = {{1, 1}, false, "Gluon's ResNets, by their names"};
}
void finish_gluon_v1(const StateDict&, Renamed& renamed) { imply_gluon(renamed, false); }
void finish_gluon_v1b(const StateDict&, Renamed& renamed) { imply_gluon(renamed, true); }
void finish_gluon_symbols(const StateDict& all, Renamed& renamed) {
  imply_gluon(renamed, all.contains("layers1_conv0_weight"));
}

// features: 0 convolution, 1 norm, 4 to 7 stages; a block's body: convolution, norm, ReLU in turn.
std::string rename_gluon_block(const StateDict& all, const std::string& name) {
  if (all.contains("features.0.gamma")) refuse_v2();
  NameParser parse(name);
  int64_t at = 0, block = 0, layer = 0;
  if (parse.word("output.")) return "fc" + suffix_of(parse.rest());
  if (!parse.word("features.") || !parse.number(at) || !parse.word(".")) return "";
  if (at <= 1) {
    const std::string part = suffix_of(parse.rest());
    return part.empty() ? "" : (at == 0 ? "conv1" : "bn1") + part;
  }
  if (at < 4 || at > 7 || !parse.number(block)) return "";
  const std::string path = block_path(at - 3, block);
  const bool body = parse.word(".body.");
  if ((!body && !parse.word(".downsample.")) || !parse.number(layer) || !parse.word(".")) return "";
  const std::string part = suffix_of(parse.rest());
  if (part.empty()) return "";
  if (!body) return str(path, "downsample.", layer, part);
  return str(path, layer % 3 == 0 ? "conv" : "bn", layer / 3 + 1, part);
}

// torchvision's paths, MXNet's names of a norm's tensors.
std::string rename_gluon_v1b(const StateDict& all, const std::string& name) {
  if (all.contains("features.0.gamma")) refuse_v2();
  const size_t dot = name.rfind('.');
  const std::string part =
      dot == std::string::npos ? "" : suffix_of(std::string_view(name).substr(dot + 1));
  return part.empty() ? "" : name.substr(0, dot) + part;
}

// How many convolutions "stage1_conv0_weight", "stage1_conv1_weight" ... there are.
int64_t count_convolutions(const StateDict& all, const std::string& stage) {
  int64_t count = 0;
  while (count < 1000 && all.contains(str(stage, "conv", count, "_weight"))) ++count;
  return count;
}

// stage1_conv3_weight, layers1_batchnorm2_gamma, down1_conv0_weight. In v1 the stages' first blocks
// number their downsampling after their body; v1b has it apart.
std::string rename_gluon_symbol(const StateDict& all, const std::string& name) {
  if (all.contains("batchnorm1_gamma"))
    bad_input(
        "the names are those of a ResNet v2 or of one with a deep stem (v1c to v1s) of Gluon, "
        "which graft does not have; its ONNX export runs as a graph");
  NameParser parse(name);
  int64_t stage = 0, index = 0;
  const bool v1 = parse.word("stage"), v1b = !v1 && parse.word("layers"),
             down = !v1 && !v1b && parse.word("down");
  if (v1 || v1b || down) {
    if (!parse.number(stage) || stage < 1 || stage > 4 || !parse.word("_")) return "";
  } else if (parse.word("dense0_")) {
    return "fc" + suffix_of(parse.rest());
  }
  const bool norm = parse.word("batchnorm");
  if ((!norm && !parse.word("conv")) || !parse.number(index) || !parse.word("_")) return "";
  const std::string part = suffix_of(parse.rest());
  if (part.empty()) return "";
  if (stage == 0) return index == 0 ? (norm ? "bn1" : "conv1") + part : "";
  if (down) return index == 0 ? str(block_path(stage, 0), "downsample.", norm ? 1 : 0, part) : "";
  const std::string stage_name = str(v1 ? "stage" : "layers", stage, "_");
  const Tensor first = all.find(stage_name + "conv0_weight");
  const int64_t body = first.defined() && first.rank() == 4 && first.size(2) == 1 ? 3 : 2;
  if (v1 && count_convolutions(all, stage_name) % body == 1) {
    if (index == body) return str(block_path(stage, 0), "downsample.", norm ? 1 : 0, part);
    if (index > body) --index;
  }
  return str(block_path(stage, index / body), norm ? "bn" : "conv", index % body + 1, part);
}

}  // namespace

const NamingScheme& gluon_block_scheme() {
  static const NamingScheme scheme{"Gluon names (blocks)",
                                   {"features.1.gamma", "features.0.gamma"},
                                   rename_gluon_block,
                                   finish_gluon_v1};
  return scheme;
}

const NamingScheme& gluon_v1b_scheme() {
  static const NamingScheme scheme{
      "GluonCV names (v1b)", {"bn1.gamma"}, rename_gluon_v1b, finish_gluon_v1b};
  return scheme;
}

const NamingScheme& gluon_symbol_scheme() {
  static const NamingScheme scheme{
      "Gluon names (symbols)", {"batchnorm0_gamma"}, rename_gluon_symbol, finish_gluon_symbols};
  return scheme;
}

}  // namespace graft::models
