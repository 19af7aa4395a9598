// Descriptions of Keras models that attack whoever reads them, in a file that carries one beside
// its tensors.
#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/tests/support/hostile_files.h"

namespace graft {
namespace {

std::string carrying(const std::string& config) {
  const nlohmann::json header = {
      {"__metadata__", {{"keras.config", config}}},
      {"w", {{"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {0, 4}}}}};
  const std::string text = header.dump();
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(text.size() >> (8 * i) & 0xff);
  return out + text + std::string(4, '\0');
}

constexpr const char* kImage =
    R"({"class_name":"InputLayer","name":"i","config":{"name":"i","batch_shape":[null,8,8,3]},)"
    R"("inbound_nodes":[]})";

std::string sequence_of(const std::string& layer) {
  return str(R"({"class_name":"Sequential","config":{"name":"m","layers":[)", kImage, ",", layer,
             "]}}");
}

// Ten calls of a model of ten calls of a model ...
std::string models_within(int depth) {
  std::string inner =
      R"({"class_name":"ReLU","config":{"name":"r"},"name":"r","inbound_nodes":[[["i",0,0,{}]]]})";
  std::string last = "r";
  for (int level = 0; level < depth; ++level) {
    const std::string name = str("m", level);
    std::string nodes = R"([["i",0,0,{}]])";
    for (int call = 1; call < 10; ++call) nodes += str(R"(,[[")", name, R"(",)", call, ",0,{}]]");
    inner = str(R"({"class_name":"Functional","name":")", name, R"(","config":{"name":")", name,
                R"(","layers":[)", kImage, ",", inner,
                R"(],"input_layers":[["i",0,0]],"output_layers":[[")", last, R"(",)",
                level == 0 ? 0 : 10, R"(,0]]},"inbound_nodes":[)", nodes, "]}");
    last = name;
  }
  return inner;
}

HostileFile description(const std::string& name, const std::string& config,
                        std::vector<std::string> words) {
  return {name, "m.safetensors", HostileKind::description, [config] { return carrying(config); },
          std::move(words)};
}

}  // namespace

std::vector<HostileFile> hostile_descriptions() {
  std::string many;
  for (int i = 0; i < 20'001; ++i) many += R"(,{"class_name":"ReLU","config":{}})";
  return {
      description("KerasModelsWithoutEnd", models_within(6), {"more than 1000 times"}),
      description("KerasJsonWithoutEnd", std::string(100'000, '['), {"deeper than 64"}),
      description(
          "KerasPythonInALambda",
          sequence_of(R"({"class_name":"Lambda","config":{"name":"l","function":["4wEA"]}})"),
          {"Lambda 'l'", "does not run"}),
      description(
          "KerasControlCharacters",
          sequence_of("{\"class_name\":\"\\u001b[2J\",\"config\":{\"name\":\"\\u001b]0;\"}}"),
          {"does not know"}),
      description("KerasLayersWithoutEnd",
                  sequence_of(R"({"class_name":"ReLU","config":{}})" + many),
                  {"more than 20000 layers"}),
      description("KerasNumbersOutOfRange",
                  sequence_of(R"({"class_name":"ZeroPadding2D","config":{"padding":1e300}})"),
                  {"not a whole number"}),
      description("KerasNormOfNothing",
                  sequence_of(R"({"class_name":"UpSampling2D","config":{"size":1000}},)"
                              R"({"class_name":"LayerNormalization","config":{"axis":[1,2,3],)"
                              R"("scale":false,"center":false}})"),
                  {"numbers at once"}),
      description("KerasCycle",
                  str(R"({"class_name":"Functional","config":{"name":"m","layers":[)", kImage,
                      R"(,{"class_name":"ReLU","name":"a","config":{},"inbound_nodes":[[["a",0,0)",
                      R"(]]]}],"input_layers":[["i",0,0]],"output_layers":[["a",0,0]]}})"),
                  {"form a cycle"}),
  };
}

}  // namespace graft
