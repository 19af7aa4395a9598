#include <filesystem>
#include <limits>

#include "graft/core/base/file_system.h"
#include "graft/core/base/text.h"
#include "graft/tests/io/proto_writer.h"
#include "graft/tests/support/hostile_files.h"

namespace graft {
namespace {

using io::ProtoWriter;
constexpr int64_t most = std::numeric_limits<int64_t>::max();

ProtoWriter numbers(const std::string& name, const std::vector<int64_t>& values) {
  ProtoWriter tensor = ProtoWriter().integer(1, std::ssize(values)).integer(2, 7).text(8, name);
  for (const int64_t value : values) tensor.integer(7, value);
  return tensor;
}

ProtoWriter floats(const std::string& name, const std::vector<int64_t>& dims,
                   const std::string& bytes) {
  ProtoWriter tensor;
  for (const int64_t extent : dims) tensor.integer(1, extent);
  return tensor.integer(2, 1).text(8, name).text(9, bytes);
}

ProtoWriter value_info(const std::string& name) {
  return ProtoWriter().text(1, name).message(2,
                                             ProtoWriter().message(1, ProtoWriter().integer(1, 1)));
}

ProtoWriter node(const std::string& op, const std::vector<std::string>& inputs,
                 const std::vector<std::string>& outputs,
                 const std::vector<ProtoWriter>& attributes = {}) {
  ProtoWriter proto;
  for (const std::string& input : inputs) proto.text(1, input);
  for (const std::string& output : outputs) proto.text(2, output);
  proto.text(4, op);
  for (const ProtoWriter& attribute : attributes) proto.message(5, attribute);
  return proto;
}

ProtoWriter local(ProtoWriter call) { return call.text(7, "local"); }
ProtoWriter whole(const std::string& name, int64_t value) {
  return ProtoWriter().text(1, name).integer(3, value).integer(20, 2);
}
ProtoWriter text(const std::string& name, const std::string& value) {
  return ProtoWriter().text(1, name).text(4, value).integer(20, 3);
}

ProtoWriter whole_list(const std::string& name, const std::vector<int64_t>& values) {
  ProtoWriter attribute = ProtoWriter().text(1, name).integer(20, 7);
  for (const int64_t value : values) attribute.integer(8, value);
  return attribute;
}

// A model that gives `output`.
std::string model(ProtoWriter graph, const std::string& output = "y",
                  const std::vector<ProtoWriter>& functions = {}, int64_t opset = 17) {
  graph.text(2, "g").message(12, value_info(output));
  ProtoWriter proto = ProtoWriter()
                          .integer(1, 8)
                          .message(7, graph)
                          .message(8, ProtoWriter().integer(2, opset))
                          .message(8, ProtoWriter().text(1, "local").integer(2, 1));
  for (const ProtoWriter& function : functions) proto.message(25, function);
  return proto.bytes();
}

ProtoWriter function(const std::string& name, const std::vector<ProtoWriter>& nodes) {
  ProtoWriter proto = ProtoWriter().text(1, name).text(4, "a").text(5, "b").text(10, "local");
  for (const ProtoWriter& inner : nodes) proto.message(7, inner);
  return proto;
}

HostileFile graph(const std::string& name, std::function<std::string()> content,
                  std::vector<std::string> words) {
  return {name, "m.onnx", HostileKind::graph, std::move(content), std::move(words)};
}

// One operator whose inputs are all constants: reading the graph would compute it.
HostileFile folded(const std::string& name, const ProtoWriter& op,
                   const std::vector<ProtoWriter>& constants, std::vector<std::string> words) {
  return graph(
      name,
      [=] {
        ProtoWriter proto = ProtoWriter().message(1, op);
        for (const ProtoWriter& constant : constants) proto.message(5, constant);
        return model(proto);
      },
      std::move(words));
}

// Two vectors of 2^21 zeros whose sum has 2^42.
std::string outer_sum() {
  const auto zeros = [](const std::string& shape, const std::string& name) {
    return node("ConstantOfShape", {shape}, {name});
  };
  return model(ProtoWriter()
                   .message(5, numbers("m", {1 << 21, 1}))
                   .message(5, numbers("n", {1, 1 << 21}))
                   .message(1, zeros("m", "a"))
                   .message(1, zeros("n", "b"))
                   .message(1, node("Add", {"a", "b"}, {"y"})));
}

// Each node joins the one before a thousand times.
std::string repeated_concat() {
  ProtoWriter proto = ProtoWriter().message(5, floats("v0", {1}, std::string(4, '\0')));
  for (int i = 0; i < 5; ++i)
    proto.message(1, node("Concat", std::vector<std::string>(1000, str("v", i)), {str("v", i + 1)},
                          {whole("axis", 0)}));
  return model(proto, "v5");
}

std::vector<HostileFile> absurd_sizes() {
  const ProtoWriter one = floats("x", {1, 1, 1, 1}, std::string(4, '\0')),
                    numbers4 = numbers("n", {1 << 20, 1 << 20, 1, 1});
  const std::string scales("\0\0\x80\x53\0\0\x80\x53\0\0\x80\x53\0\0\x80\x53", 16);  // 2^40 each
  return {
      folded("onnx_constant_of_shape", node("ConstantOfShape", {"n"}, {"y"}), {numbers4},
             {"ConstantOfShape"}),
      folded("onnx_constant_of_shape_that_wraps", node("ConstantOfShape", {"n"}, {"y"}),
             {numbers("n", {4194305, 4194305, 211106198978564})}, {"ConstantOfShape"}),
      folded("onnx_constant_of_negative_shape", node("ConstantOfShape", {"n"}, {"y"}),
             {numbers("n", {-1})}, {"ConstantOfShape"}),
      folded("onnx_expand", node("Expand", {"x", "n"}, {"y"}), {one, numbers4}, {"Expand"}),
      folded("onnx_expand_that_wraps", node("Expand", {"x", "n"}, {"y"}),
             {one, numbers("n", {most, most})}, {"Expand"}),
      folded("onnx_tile", node("Tile", {"x", "n"}, {"y"}), {one, numbers4}, {"Tile"}),
      folded("onnx_tile_that_wraps", node("Tile", {"x", "n"}, {"y"}),
             {one, numbers("n", {most, most, most, most})}, {"Tile"}),
      folded("onnx_resize_sizes", node("Resize", {"x", "", "", "n"}, {"y"}), {one, numbers4},
             {"Resize"}),
      folded("onnx_resize_of_a_long_empty_axis", node("Resize", {"e", "", "s"}, {"y"}),
             {floats("e", {0, int64_t{1} << 39}, ""),
              floats("s", {2}, scales.substr(0, 4) + scales.substr(0, 4))},
             {"Resize"}),
      folded("onnx_center_crop_to_nothing", node("CenterCropPad", {"x", "n"}, {"y"}),
             {one, numbers("n", {-most - 1, -most - 1, 1, 1})}, {"CenterCropPad"}),
      folded("onnx_blocks_of_a_long_empty_axis",
             node("DequantizeLinear", {"e", "t"}, {"y"},
                  {whole("block_size", int64_t{1} << 39), whole("axis", 1)}),
             {floats("e", {0, int64_t{1} << 39}, ""), floats("t", {1, 2}, std::string(8, '\0'))},
             {"DequantizeLinear"}),
      folded("onnx_resize_scales", node("Resize", {"x", "", "s"}, {"y"}),
             {one, floats("s", {4}, scales)}, {"Resize"}),
      folded("onnx_pad", node("Pad", {"x", "n"}, {"y"}),
             {one, numbers("n", {0, 0, 1 << 20, 1 << 20, 0, 0, 1 << 20, 1 << 20})}, {"Pad"}),
      folded("onnx_pad_that_wraps", node("Pad", {"x", "n"}, {"y"}),
             {one, numbers("n", {0, 0, 0, most, 0, 0, 0, most})}, {"Pad"}),
      folded("onnx_range", node("Range", {"a", "b", "c"}, {"y"}),
             {numbers("a", {0}), numbers("b", {most}), numbers("c", {1})}, {"Range"}),
      folded("onnx_range_backwards", node("Range", {"a", "b", "c"}, {"y"}),
             {numbers("a", {-most}), numbers("b", {most}), numbers("c", {1})}, {"Range"}),
      graph("onnx_outer_sum", outer_sum, {"Add", "memory"}),
      graph("onnx_repeated_concat", repeated_concat, {"Concat"}),
      folded("onnx_reshape_that_wraps", node("Reshape", {"x", "n"}, {"y"}),
             {one, numbers("n", {4194305, 4194305, 211106198978564})}, {"Reshape"}),
      folded("onnx_reshape_to_negatives", node("Reshape", {"x", "n"}, {"y"}),
             {one, numbers("n", {-1, -1})}, {"Reshape"}),
      folded("onnx_one_hot", node("OneHot", {"i", "d", "v"}, {"y"}),
             {numbers("i", {0}), numbers("d", {most}), floats("v", {2}, std::string(8, '\0'))},
             {"OneHot"}),
      folded("onnx_gather_behind_the_end", node("Gather", {"x", "n"}, {"y"}),
             {one, numbers("n", {1})}, {"Gather"}),
      folded("onnx_gather_before_the_begin", node("Gather", {"x", "n"}, {"y"}),
             {one, numbers("n", {-most})}, {"Gather"}),
      folded("onnx_scatter_behind_the_end", node("ScatterND", {"x", "n", "u"}, {"y"}),
             {one, floats("u", {1}, std::string(4, '\0')), numbers("n", {9, 9, 9, 9})},
             {"ScatterND"}),
      folded("onnx_top_k_of_more_than_there_is", node("TopK", {"x", "n"}, {"y", "z"}),
             {one, numbers("n", {most})}, {"TopK"}),
      folded("onnx_split_in_many", node("Split", {"x", "n"}, {"y", "z"}),
             {one, numbers("n", {most, 2})}, {"Split"}),
      folded("onnx_unsqueeze_to_many_axes", node("Unsqueeze", {"x", "n"}, {"y"}),
             {one, numbers("n", {0, 1, 2, 3, 4, 5, 6, 7})}, {"Unsqueeze"}),
      folded("onnx_concat_axis", node("Concat", {"x", "x"}, {"y"}, {whole("axis", most)}), {one},
             {"Concat"}),
      folded("onnx_depth_to_space", node("DepthToSpace", {"x"}, {"y"}, {whole("blocksize", most)}),
             {one}, {"DepthToSpace"}),
      folded("onnx_depth_to_space_by_zero",
             node("DepthToSpace", {"x"}, {"y"}, {whole("blocksize", 0)}), {one}, {"DepthToSpace"}),
      folded(
          "onnx_batch_norm_with_a_long_variance",
          node("BatchNormalization", {"x", "m", "m", "m", "v"}, {"y", "z", "w"},
               {whole("training_mode", 1)}),
          {floats("x", {2, 1, 1, 1}, std::string(8, '\0')), floats("m", {1}, std::string(4, '\0')),
           floats("v", {5000}, std::string(20000, '\0'))},
          {"BatchNormalization", "a variance of [5000]"}),
      graph("onnx_slopes_without_channels",
            [] {
              return model(ProtoWriter()
                               .message(5, floats("x", {2}, std::string(8, '\0')))
                               .message(1, node("PRelu", {"x", "x"}, {"y"})),
                           "y", {}, 6);
            },
            {"PRelu", "no channels"}),
      folded("onnx_transposed_convolution_to_an_absurd_size",
             node("ConvTranspose", {"x", "x"}, {"y"}, {whole_list("output_shape", {most, most})}),
             {one}, {"ConvTranspose"}),
      folded("onnx_transposed_convolution_padded_without_end",
             node("ConvTranspose", {"x", "x"}, {"y"},
                  {whole_list("output_padding", {most, most}), text("auto_pad", "SAME_UPPER")}),
             {one}, {"ConvTranspose"}),
      folded("onnx_convolution_in_no_groups", node("Conv", {"x", "x"}, {"y"}, {whole("group", 0)}),
             {one}, {"Conv"}),
  };
}

std::vector<HostileFile> structures() {
  const auto nested = [] {
    ProtoWriter inner;
    for (int i = 0; i < 2000; ++i)
      inner = ProtoWriter().message(
          1, node("If", {"c"}, {"y"}, {ProtoWriter().text(1, "then_branch").message(6, inner)}));
    return model(inner);
  };
  const auto call_twice = [](int levels,
                             bool with_leaf) {  // each function calls the one below it twice
    std::vector<ProtoWriter> functions = {function(
        "f0", with_leaf ? std::vector{node("Relu", {"a"}, {"b"})} : std::vector<ProtoWriter>{})};
    for (int i = 1; i < levels; ++i)
      functions.push_back(function(str("f", i), {local(node(str("f", i - 1), {"a"}, {"c"})),
                                                 local(node(str("f", i - 1), {"c"}, {"b"}))}));
    return model(ProtoWriter()
                     .message(11, value_info("x"))
                     .message(1, local(node(str("f", levels - 1), {"x"}, {"y"}))),
                 "y", functions);
  };
  const auto long_names = [] {  // 100 kB of name, called a million times
    std::vector<ProtoWriter> functions = {function(
        "f0", {node("Relu", {"a"}, {std::string(100000, 'n')}), node("Relu", {"a"}, {"b"})})};
    for (int i = 1; i < 20; ++i)
      functions.push_back(function(str("f", i), {local(node(str("f", i - 1), {"a"}, {"c"})),
                                                 local(node(str("f", i - 1), {"c"}, {"b"}))}));
    return model(
        ProtoWriter().message(11, value_info("x")).message(1, local(node("f19", {"x"}, {"y"}))),
        "y", functions);
  };
  return {
      graph("onnx_nested_branches", nested, {"nested deeper than"}),
      graph("onnx_function_that_calls_itself",
            [] {
              return model(ProtoWriter()
                               .message(11, value_info("x"))
                               .message(1, local(node("f", {"x"}, {"y"}))),
                           "y", {function("f", {local(node("f", {"a"}, {"b"}))})});
            },
            {"functions call each other more than"}),
      graph("onnx_functions_that_double", [=] { return call_twice(31, true); }, {"m.onnx"}),
      graph("onnx_functions_that_double_nothing", [=] { return call_twice(31, false); },
            {"much more than its own size"}),
      graph("onnx_functions_with_long_names", long_names, {"much more than its own size"}),
      graph("onnx_cycle",
            [] {
              return model(ProtoWriter()
                               .message(11, value_info("x"))
                               .message(1, node("Add", {"x", "y"}, {"z"}))
                               .message(1, node("Relu", {"z"}, {"y"})));
            },
            {"cycle"}),
      graph("onnx_node_of_itself",
            [] { return model(ProtoWriter().message(1, node("Relu", {"y"}, {"y"}))); }, {"'y'"}),
      graph("onnx_value_given_twice",
            [] {
              return model(ProtoWriter()
                               .message(11, value_info("x"))
                               .message(1, node("Relu", {"x"}, {"y"}))
                               .message(1, node("Abs", {"x"}, {"y"})));
            },
            {"'y' is given twice"}),
      graph("onnx_input_given_twice",
            [] {
              return model(ProtoWriter()
                               .message(11, value_info("x"))
                               .message(11, value_info("x"))
                               .message(1, node("Relu", {"x"}, {"y"})));
            },
            {"input 'x' stands there twice"}),
      graph("onnx_initializer_given_twice",
            [] {
              return model(ProtoWriter()
                               .message(5, numbers("x", {1}))
                               .message(5, numbers("x", {2}))
                               .message(1, node("Abs", {"x"}, {"y"})));
            },
            {"'x'", "twice"}),
      graph(
          "onnx_output_of_nothing",
          [] {
            return model(
                ProtoWriter().message(11, value_info("x")).message(1, node("Relu", {"x"}, {"z"})));
          },
          {"output 'y'"}),
      graph("onnx_unknown_operator",
            [] {
              return model(ProtoWriter()
                               .message(11, value_info("x"))
                               .message(1, node("System\x1b[31m\nrm", {"x"}, {"y"})));
            },
            {"what graft does not know"}),
      graph("onnx_sparse_initializer",
            [] { return model(ProtoWriter().message(15, ProtoWriter())); }, {"sparse"}),
      graph("onnx_shape_that_wraps",
            [] {
              return model(ProtoWriter().message(
                  5, floats("y", {4194305, 4194305, 211106198978564}, std::string(16, '\0'))));
            },
            {"'y'"}),
      graph("onnx_text_as_a_number",
            [] {
              return model(ProtoWriter()
                               .message(5, floats("x", {1}, std::string(4, '\0')))
                               .message(1, node("Concat", {"x", "x"}, {"y"}, {text("axis", "0")})));
            },
            {"Concat"}),
  };
}

// -- external data

HostileFile external(const std::string& name, const std::string& location,
                     std::vector<std::string> words, const std::string& offset = "",
                     const std::string& length = "",
                     std::function<void(const std::string&)> prepare = nullptr) {
  HostileFile file = graph(
      name,
      [=] {
        return model(ProtoWriter().message(5, io::external_tensor(4, location, offset, length)),
                     "w");
      },
      std::move(words));
  file.prepare = [prepare](const std::string& folder) {
    write_file_atomically(folder + "/w.bin", std::string(16, '\0'));
    if (prepare) prepare(folder);
  };
  return file;
}

std::vector<HostileFile> external_data() {
  namespace fs = std::filesystem;
  return {
      external("onnx_external_parent", "../w.bin", {"../w.bin"}),
      external("onnx_external_parent_within", "sub/../../w.bin",
               {"sub/../../w.bin"}),  // CVE-2024-27318
      external("onnx_external_absolute", "/etc/passwd", {"/etc/passwd"}),
      external("onnx_external_double_slash", "//etc/passwd", {"//etc/passwd"}),
      external("onnx_external_process_memory", "/proc/self/mem", {"/proc/self/mem"}),
      external("onnx_external_symlink", "link.bin", {"link.bin"}, "", "",
               [](const std::string& folder) {
                 fs::create_symlink(folder + "/w.bin", folder + "/link.bin");
               }),
      external(
          "onnx_external_symlinked_folder", "up/w.bin", {"up/w.bin"}, "", "",
          [](const std::string& folder) { fs::create_directory_symlink(folder, folder + "/up"); }),
      external("onnx_external_hardlink", "hard.bin", {"hard.bin"}, "", "",
               [](const std::string& folder) {
                 fs::create_hard_link(folder + "/w.bin", folder + "/hard.bin");
               }),
      external("onnx_external_folder", ".", {"m.onnx"}),
      external("onnx_external_absent", "absent.bin", {"absent.bin"}),
      external("onnx_external_zero_byte", std::string("w.bin\0.txt", 10), {"m.onnx"}),
      external("onnx_external_memory_address", "*/_ORT_MEM_ADDR_/*", {"memory of another program"},
               "94000000000000"),
      external("onnx_external_offset_that_wraps", "w.bin", {"truncated"}, "9223372036854775807",
               "16"),
      external("onnx_external_offset_of_2_to_the_64", "w.bin", {"offset '18446744073709551615'"},
               "18446744073709551615", "16"),
      external("onnx_external_negative_offset", "w.bin", {"offset '-16'"}, "-16"),
      external("onnx_external_length_that_differs", "w.bin",
               {"needs 16 bytes, its external data has 12"}, "0", "12"),
      external("onnx_external_length_of_gigabytes", "w.bin", {"needs 16 bytes"}, "0",
               "99999999999"),
      external("onnx_external_behind_the_end", "w.bin", {"truncated"}, "8"),
  };
}

}  // namespace

std::vector<HostileFile> hostile_graphs() {
  std::vector<HostileFile> files = absurd_sizes();
  for (auto more : {structures(), external_data()})
    for (HostileFile& file : more) files.push_back(std::move(file));
  return files;
}

}  // namespace graft
