#include "graft/models/graph/classifier_search.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace graft::models {

ClassifierSearch find_classifier(const GraphSource& source) {
  std::unordered_map<std::string, const io::onnx::Node*> makers;
  std::unordered_set<std::string> weights;
  for (const GraphTensor& tensor : source.tensors)
    if (tensor.role == TensorRole::parameter) weights.insert(tensor.name);
  for (const io::onnx::Node& node : source.nodes)
    for (const std::string& output : node.outputs) makers[output] = &node;
  ClassifierSearch search;
  std::vector<std::string> open{source.outputs.at(0)};
  std::unordered_set<std::string> seen(open.begin(), open.end());
  while (!open.empty()) {
    const auto maker = makers.find(open.back());
    open.pop_back();
    if (maker == makers.end()) continue;
    const io::onnx::Node& node = *maker->second;
    const bool parametrised =
        std::any_of(node.inputs.begin(), node.inputs.end(),
                    [&](const std::string& input) { return weights.contains(input); });
    if (parametrised && is_linear_operator(node)) {
      if (std::find(search.candidates.begin(), search.candidates.end(), &node) ==
          search.candidates.end())
        search.candidates.push_back(&node);
      continue;
    }
    if (parametrised && node.op_type != "Add") {
      search.behind_norm = true;
      continue;
    }
    for (const std::string& input : node.inputs)
      if (seen.insert(input).second) open.push_back(input);
  }
  if (search.candidates.size() == 1 && !search.behind_norm)
    search.classifier = search.candidates[0];
  return search;
}

}  // namespace graft::models
