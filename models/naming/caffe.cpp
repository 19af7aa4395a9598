// Caffe's ResNets (MSRA) and their descendants: res2a_branch2a with bn2a_branch2a and
// scale2a_branch2a, also as Keras before 2.2 named them; Detectron's res2_0_branch2a; detectron2's
// res2.0.conv1.
#include "graft/models/naming/scheme.h"
#include "graft/models/preprocess_guess.h"

namespace graft::models {
namespace {

constexpr const char* kCaffeWhy = "Caffe's ResNets, by the names";

// "branch2b" -> "conv2" or "bn2"; "branch1" -> "downsample.0" or ".1". "" for neither.
std::string branch_path(NameParser& parse, bool norm) {
  if (parse.word("branch1")) return norm ? "downsample.1" : "downsample.0";
  int64_t index = 0;
  if (!parse.word("branch2") || !parse.letter(index) || index > 2) return "";
  return str(norm ? "bn" : "conv", index + 1);
}

// What follows a layer's name: one separator, then the tensor's name. Caffe's blobs are numbers.
std::string caffe_suffix(std::string_view rest, bool convolution, bool scale) {
  if (rest.empty() || std::string_view("_./:").find(rest[0]) == std::string_view::npos) return "";
  const std::string_view part = rest.substr(1);
  if (part == "0") return convolution || scale ? ".weight" : ".running_mean";
  if (part == "1") return convolution || scale ? ".bias" : ".running_var";
  if (part == "2" || part == "scale_factor") return convolution || scale ? "" : ".scale_factor";
  return suffix_of(part);
}

std::string rename_caffe(const StateDict&, const std::string& name) {
  NameParser parse(name);
  int64_t stage = 0, block = 0;
  if (parse.word("fc1000") || parse.word("fc"))
    return "fc" + caffe_suffix(parse.rest(), true, false);
  if (parse.word("bn_conv1") || parse.word("scale_conv1"))
    return "bn1" + caffe_suffix(parse.rest(), false, name.starts_with("scale"));
  if (parse.word("conv1")) return "conv1" + caffe_suffix(parse.rest(), true, false);
  const bool convolution = parse.word("res"), norm = !convolution && parse.word("bn"),
             scale = !convolution && !norm && parse.word("scale");
  if ((!convolution && !norm && !scale) || !parse.number(stage) || stage < 2 || stage > 5 ||
      !parse.letter(block) || !parse.word("_"))
    return "";
  const std::string layer = branch_path(parse, !convolution),
                    part = caffe_suffix(parse.rest(), convolution, scale);
  return layer.empty() || part.empty() ? "" : block_path(stage - 1, block) + layer + part;
}

// Caffe stores sums of means and variances and how many batches they are of.
void divide_by_scale_factors(StateDict& tensors) {
  std::vector<std::string> norms;
  for (const auto& [name, tensor] : tensors)
    if (name.ends_with(".scale_factor")) norms.push_back(name.substr(0, name.size() - 13));
  for (const std::string& norm : norms) {
    const Tensor factor = tensors.at(norm + ".scale_factor");
    GRAFT_CHECK(factor.numel() == 1, norm, ": a scale factor of ", factor.numel(), " numbers");
    const double count = factor.to_doubles()[0];
    tensors.erase(norm + ".scale_factor");
    if (count == 0)
      continue;  // Caffe takes the sums for 0 then; the numbers stay and doubts are raised
                 // elsewhere
    for (const char* part : {".running_mean", ".running_var"}) {
      const Tensor sum = tensors.find(norm + part);
      if (!sum.defined()) continue;
      std::vector<double> values = sum.to_doubles();
      for (double& value : values) value /= count;
      tensors.set(norm + part, Tensor::of(sum.shape(), values).to(DType::f32));
    }
  }
}

void finish_caffe(const StateDict&, Renamed& renamed) {
  divide_by_scale_factors(renamed.tensors);
  renamed.eps = {1e-5, false, kCaffeWhy};
  renamed.stride_in_3x3 = {false, false, kCaffeWhy};
  renamed.pool_pads = {{0, 1}, false, "Caffe rounds the pool's output up, by the names"};
  renamed.preprocess = {caffe_preprocess({103.06, 115.90, 123.15}), false, kCaffeWhy};
  renamed.preprocess_text = "BGR, 0 to 255, minus (103.06, 115.90, 123.15), 224x224";
}

// "res2_0_branch2a_w", "res2_0_branch2a_bn_s" (a scale and a shift: the statistics went into them),
// "res_conv1_bn_b".
std::string rename_detectron(const StateDict&, const std::string& name) {
  NameParser parse(name);
  int64_t stage = 0, block = 0;
  if (parse.word("pred_")) return "fc" + suffix_of(parse.rest());
  if (parse.word("conv1_")) return "conv1" + suffix_of(parse.rest());
  if (parse.word("res_conv1_bn_")) return "bn1" + suffix_of(parse.rest());
  if (!parse.word("res") || !parse.number(stage) || stage < 2 || stage > 5 || !parse.word("_") ||
      !parse.number(block) || !parse.word("_"))
    return "";
  const bool norm = name.find("_bn_") != std::string::npos;
  const std::string layer = branch_path(parse, norm);
  if (layer.empty() || !parse.word(norm ? "_bn_" : "_")) return "";
  const std::string part = suffix_of(parse.rest());
  return part.empty() ? "" : block_path(stage - 1, block) + layer + part;
}

void note_affine(Renamed& renamed, int64_t norms) {
  if (norms > 0)
    renamed.notes.push_back(
        str(norms,
            " norms are a scale and a shift without statistics: they are folded into their "
            "convolutions, and stand un-folded as neutral ones"));
}

void finish_detectron(const StateDict&, Renamed& renamed) {
  note_affine(renamed, fold_affine_norms(renamed.tensors));
  renamed.eps = {1e-5, false, "Detectron's ResNets, by the names"};
  renamed.stride_in_3x3 = {false, false, "Detectron's ResNets of MSRA, by the names"};
  renamed.pool_pads = {{1, 1}, false, "Detectron's ResNets, by the names"};
  renamed.preprocess = {caffe_preprocess({102.9801, 115.9465, 122.7717}), false,
                        "Detectron's pixel means, by the names"};
  renamed.preprocess_text = "BGR, 0 to 255, minus (102.9801, 115.9465, 122.7717), 224x224";
}

// "stem.conv1.norm.bias", "res4.5.shortcut.weight", "stem.fc.weight" or "linear.weight".
std::string rename_detectron2(const StateDict&, const std::string& name) {
  NameParser parse(name);
  int64_t stage = 0, block = 0, index = 0;
  if (parse.word("stem.fc.") || parse.word("linear.")) return "fc" + suffix_of(parse.rest());
  if (parse.word("stem.conv1.")) {
    const bool norm = parse.word("norm.");
    const std::string part = suffix_of(parse.rest());
    return part.empty() ? "" : (norm ? "bn1" : "conv1") + part;
  }
  if (!parse.word("res") || !parse.number(stage) || stage < 2 || stage > 5 || !parse.word(".") ||
      !parse.number(block) || !parse.word("."))
    return "";
  const bool shortcut = parse.word("shortcut.");
  if (!shortcut &&
      (!parse.word("conv") || !parse.number(index) || index < 1 || index > 3 || !parse.word(".")))
    return "";
  const bool norm = parse.word("norm.");
  const std::string part = suffix_of(parse.rest());
  if (part.empty()) return "";
  return block_path(stage - 1, block) +
         (shortcut ? str("downsample.", norm ? 1 : 0) : str(norm ? "bn" : "conv", index)) + part;
}

void finish_detectron2(const StateDict&, Renamed& renamed) {
  const double variance =
      input_variance(renamed.tensors.find("conv1.weight"), renamed.tensors.find("bn1.running_var"));
  note_affine(renamed, fold_affine_norms(renamed.tensors));
  renamed.eps = {1e-5, false, "detectron2's norms, by the names"};
  renamed.pool_pads = {{1, 1}, false, "detectron2's stem, by the names"};
  constexpr double kRaw = 300;
  if (variance > 0 && variance < kRaw) {
    renamed.stride_in_3x3 = {
        true, false,
        "bn1's variance is that of normalised pixels, so the weights are torchvision's"};
    return;  // torchvision's pixels are the usual guess
  }
  renamed.stride_in_3x3 = {false, false, "detectron2's default, for the weights of MSRA"};
  renamed.preprocess = {caffe_preprocess({103.530, 116.280, 123.675}), false,
                        "detectron2's pixel means, for the weights of MSRA"};
  renamed.preprocess_text = "BGR, 0 to 255, minus (103.530, 116.280, 123.675), 224x224";
}

}  // namespace

const NamingScheme& caffe_scheme() {
  static const NamingScheme scheme{
      "Caffe names",
      {"res2a_branch2a_weight", "res2a_branch2a.weight", "res2a_branch2a/weight",
       "res2a_branch2a:weight", "res2a_branch2a_0", "res2a_branch2a.0", "res2a_branch2a/0",
       "res2a_branch2a_weights", "res2a_branch2a/weights"},
      rename_caffe,
      finish_caffe};
  return scheme;
}

const NamingScheme& detectron_scheme() {
  static const NamingScheme scheme{
      "Detectron names", {"res2_0_branch2a_w"}, rename_detectron, finish_detectron};
  return scheme;
}

const NamingScheme& detectron2_scheme() {
  static const NamingScheme scheme{
      "detectron2 names", {"stem.conv1.weight"}, rename_detectron2, finish_detectron2};
  return scheme;
}

}  // namespace graft::models
