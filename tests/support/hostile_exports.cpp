#include <nlohmann/json.hpp>

#include "graft/tests/support/hostile_files.h"
#include "graft/tests/support/zip_writer.h"

namespace graft {
namespace {

using Json = nlohmann::json;

Json meta_json(const std::vector<int64_t>& sizes, int64_t offset = 0) {
  Json list = Json::array(), strides = Json::array();
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0;
       stride = stride < (int64_t{1} << 40) ? stride * sizes[i] : stride)
    strides.insert(strides.begin(), Json{{"as_int", stride}});
  for (const int64_t size : sizes) list.push_back({{"as_int", size}});
  return {{"dtype", 7},
          {"sizes", list},
          {"strides", strides},
          {"storage_offset", {{"as_int", offset}}},
          {"requires_grad", true},
          {"layout", 7}};
}

Json tensor_json(const std::string& name) { return {{"as_tensor", {{"name", name}}}}; }

Json node_json(const std::string& op, const std::string& in, const std::string& out) {
  Json input = {{"name", "self"}, {"arg", tensor_json(in)}, {"kind", 1}};
  return {{"target", "torch.ops.aten." + op},
          {"inputs", Json::array({input})},
          {"outputs", Json::array({tensor_json(out)})},
          {"metadata", Json::object()},
          {"name", out}};
}

// x [1,3,4,4] + w [3,1,1] -> relu: what an attack changes one thing of.
struct Export {
  Json program, weights;
  std::string storage = std::string(12, '\0');
  std::vector<ZipEntry> more;

  Export() {
    Json add = node_json("add.Tensor", "x", "sum");
    add["inputs"].push_back({{"name", "other"}, {"arg", tensor_json("p_w")}, {"kind", 1}});
    const Json graph = {{"nodes", Json::array({add, node_json("relu.default", "sum", "y")})},
                        {"tensor_values",
                         {{"x", meta_json({1, 3, 4, 4})},
                          {"p_w", meta_json({3, 1, 1})},
                          {"sum", meta_json({1, 3, 4, 4})},
                          {"y", meta_json({1, 3, 4, 4})}}}};
    const Json w = {{"parameter", {{"arg", {{"name", "p_w"}}}, {"parameter_name", "w"}}}};
    const Json x = {{"user_input", {{"arg", tensor_json("x")}}}};
    const Json y = {{"user_output", {{"arg", tensor_json("y")}}}};
    program = {{"schema_version", {{"major", 8}, {"minor", 17}}},
               {"torch_version", "2.11"},
               {"graph_module",
                {{"graph", graph},
                 {"signature",
                  {{"input_specs", Json::array({w, x})}, {"output_specs", Json::array({y})}}}}}};
    weights = {{"config",
                {{"w",
                  {{"path_name", "weight_0"},
                   {"use_pickle", false},
                   {"tensor_meta", meta_json({3, 1, 1})}}}}}};
  }
  Json& graph() { return program["graph_module"]["graph"]; }
  Json& tensor() { return weights["config"]["w"]; }

  std::string bytes(const std::string& json = "") const {
    ZipWriter zip;
    zip.add({"a/archive_format", "pt2"});
    zip.add({"a/models/model.json", json.empty() ? program.dump() : json});
    zip.add({"a/data/weights/model_weights_config.json", weights.dump()});
    zip.add({"a/data/weights/weight_0", storage});
    for (const ZipEntry& entry : more) zip.add(entry);
    return zip.bytes();
  }
};

HostileFile exported(const std::string& name, std::function<void(Export&)> change,
                     std::vector<std::string> words) {
  return {name, "m.pt2", HostileKind::graph,
          [change] {
            Export made;
            change(made);
            return made.bytes();
          },
          std::move(words)};
}

HostileFile exported_json(const std::string& name, const std::string& json,
                          std::vector<std::string> words) {
  return {name, "m.pt2", HostileKind::graph, [json] { return Export().bytes(json); },
          std::move(words)};
}

std::string export_bomb() {
  const std::string zeros(1 << 20, '\0'), packed = deflated(zeros);
  ZipEntry entry{"a/models/model.json", packed};
  entry.method = 8;
  entry.size = entry.local_size = std::ssize(zeros);
  return ZipWriter().add({"a/archive_format", "pt2"}).add(entry, &zeros).bytes();
}

}  // namespace

std::vector<HostileFile> hostile_exports() {
  return {
      exported_json("export_of_no_json", "{\"graph_module\": ", {"cannot be read as JSON"}),
      exported_json("export_of_a_list", "[1]", {"no JSON object"}),
      exported_json("export_that_nests", std::string(100'000, '['), {"nested deeper"}),
      exported_json("export_without_a_version", "{}", {"'schema_version' is missing"}),
      exported("export_of_another_schema",
               [](Export& e) { e.program["schema_version"]["major"] = 9; },
               {"version 9.17", "graft reads version 8"}),
      exported("export_of_a_huge_version",
               [](Export& e) { e.program["schema_version"]["major"] = UINT64_MAX; },
               {"whole number"}),
      exported("export_without_its_storage",
               [](Export& e) { e.tensor()["path_name"] = "weight_7"; },
               {"tensor 'w'", "weight_7 is not in the file"}),
      exported("export_outside_of_its_storage",
               [](Export& e) {
                 e.tensor()["tensor_meta"] = meta_json({3, 1, 1}, 1);
               },
               {"tensor 'w'", "lies outside of its 3 stored elements"}),
      exported("export_of_an_enormous_tensor",
               [](Export& e) {
                 e.tensor()["tensor_meta"] = meta_json({1 << 20, 1 << 20, 1 << 6});
               },
               {"tensor 'w'"}),
      exported("export_of_complex_numbers",
               [](Export& e) { e.tensor()["tensor_meta"]["dtype"] = 10; }, {"element type 10"}),
      exported("export_without_a_weight", [](Export& e) { e.weights["config"] = Json::object(); },
               {"gives its input 'p_w'"}),
      exported("export_in_a_cycle",
               [](Export& e) { e.graph()["nodes"][0] = node_json("neg.default", "y", "sum"); },
               {"gives its input 'y'"}),
      exported("export_that_gives_a_value_twice",
               [](Export& e) { e.graph()["nodes"][1] = node_json("relu.default", "sum", "sum"); },
               {"m.pt2"}),
      exported("export_of_a_value_not_described",
               [](Export& e) { e.graph()["tensor_values"].erase("x"); },
               {"does not describe its value 'x'"}),
      exported("export_of_unknown_operators",
               [](Export& e) { e.graph()["nodes"][1]["target"] = "torch.ops.mine.relu.default"; },
               {"what graft does not know", "torch.ops.mine.relu.default"}),
      exported("export_of_a_huge_constant",
               [](Export& e) {
                 Json node = node_json("full.default", "x", "p_w2");
                 node["inputs"] =
                     Json::array({{{"name", "size"}, {"arg", {{"as_ints", {1 << 20, 1 << 20}}}}},
                                  {{"name", "fill_value"}, {"arg", {{"as_float", 1.0}}}}});
                 e.graph()["tensor_values"]["p_w2"] = meta_json({1 << 20, 1 << 20});
                 e.graph()["nodes"].insert(e.graph()["nodes"].begin(), node);
                 e.graph()["nodes"][1]["inputs"][1]["arg"] = tensor_json("p_w2");
               },
               {"m.pt2"}),
      {"export_bomb",
       "m.pt2",
       HostileKind::weights,
       export_bomb,
       {"'a/models/model.json' is compressed"}},
      {"export_without_a_graph",
       "m.pt2",
       HostileKind::weights,
       [] {
         return ZipWriter().add({"a/archive_format", "pt2"}).bytes();
       },
       {"without an exported graph"}},
  };
}

}  // namespace graft
