// Reads saved_model.pb: tensorflow/core/protobuf/saved_model.proto and what it is made of.
#include <algorithm>
#include <bit>
#include <set>

#include "graft/io/saved_model/bundle.h"
#include "graft/io/saved_model/model.h"
#include "graft/io/saved_model/proto.h"

namespace graft::io::saved_model {
namespace {

constexpr const char* kServing = "serving_default";
constexpr size_t kMostListed = 1'000'000;

class GraphReader {
 public:
  GraphReader(Bytes bytes, const ReadLimits& limits)
      : bytes_(bytes), limits_(limits), budget_(std::ssize(bytes)) {}

  Model operator()() {
    int64_t graphs = 0;
    Bytes used;
    bool serves = false;
    for (WireReader reader(bytes_); reader.next();) {
      if (reader.field() == 1) {
        const int64_t version = reader.integer();
        GRAFT_CHECK(version == 1, "its schema is version ", version, "; graft reads version 1");
      }
      if (reader.field() != 2) continue;
      const Bytes graph = reader.bytes();
      const bool serving = has_tag(graph, "serve");
      if (graphs++ == 0 || (serving && !serves)) used = graph;
      serves = serves || serving;
    }
    GRAFT_CHECK(graphs > 0, "holds no graph");
    if (graphs > 1)
      model_.notes.push_back(str("the file holds ", graphs, " graphs; the ",
                                 serves ? "one to serve" : "first", " is used"));
    read_meta_graph(used);
    return std::move(model_);
  }

 private:
  std::string text(WireReader& reader) {
    const Bytes bytes = reader.bytes();
    GRAFT_CHECK(std::ssize(bytes) <= limits_.name_bytes, "a name of ", bytes.size(), " bytes");
    budget_.charge(std::ssize(bytes) + 40);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  static bool has_tag(Bytes graph, std::string_view wanted) {
    for (WireReader reader(graph); reader.next();) {
      if (reader.field() != 1) continue;
      for (WireReader info(reader.bytes()); info.next();)
        if (info.field() == 4 && info.text() == wanted) return true;
    }
    return false;
  }

  void read_meta_graph(Bytes graph) {
    std::vector<std::string> signatures;
    Bytes chosen;
    for (WireReader reader(graph); reader.next();) switch (reader.field()) {
        case 1:
          for (WireReader info(reader.bytes()); info.next();)
            if (info.field() == 5) model_.tensorflow_version = text(info);
          break;
        case 2: read_graph(reader.bytes()); break;
        case 3:
          for (WireReader saver(reader.bytes()); saver.next();)
            if (saver.field() == 3) model_.restore_op = text(saver);
          break;
        case 5: {
          const auto [key, value] = map_entry(reader.bytes());
          if (key.starts_with("__")) break;
          if (signatures.empty() || key == kServing) chosen = value, model_.signature = key;
          signatures.push_back(key);
          break;
        }
        default: break;
      }
    GRAFT_CHECK(!signatures.empty(),
                "it has no signature that says what it is called with (serving_default)");
    if (model_.signature != kServing || signatures.size() > 1)
      model_.notes.push_back(
          str("of the signatures ", join(signatures), " '", model_.signature, "' is used"));
    for (WireReader reader(chosen); reader.next();) {
      if (reader.field() == 1) model_.inputs.push_back(endpoint(reader.bytes()));
      if (reader.field() == 2) model_.outputs.push_back(endpoint(reader.bytes()));
    }
  }

  std::pair<std::string, Bytes> map_entry(Bytes entry) {
    std::pair<std::string, Bytes> result;
    for (WireReader reader(entry); reader.next();) {
      if (reader.field() == 1) result.first = text(reader);
      if (reader.field() == 2) result.second = reader.bytes();
    }
    return result;
  }

  Endpoint endpoint(Bytes entry) {
    budget_.charge(sizeof(Endpoint));
    const auto [key, info] = map_entry(entry);
    Endpoint result;
    result.key = key;
    for (WireReader reader(info); reader.next();) switch (reader.field()) {
        case 1: result.tensor = text(reader); break;
        case 2: result.type = reader.integer(); break;
        case 3: {
          const ProtoShape shape = read_proto_shape(reader.bytes());
          result.has_shape = shape.known;
          result.dims = shape.dims;
          break;
        }
        default: break;
      }
    return result;
  }

  // --- graphs ---

  void read_graph(Bytes graph) {
    for (WireReader reader(graph); reader.next();) {
      if (reader.field() == 1) model_.nodes.push_back(node(reader.bytes()));
      if (reader.field() != 2) continue;
      for (WireReader library(reader.bytes()); library.next();)
        if (library.field() == 1) {
          Function read = function(library.bytes());
          const std::string name = read.name;
          GRAFT_CHECK(model_.functions.emplace(name, std::move(read)).second, "the function '",
                      name, "' stands there twice");
        }
    }
  }

  Node node(Bytes message) {
    GRAFT_CHECK(++nodes_ <= limits_.nodes, "holds more than ", limits_.nodes, " nodes");
    budget_.charge(sizeof(Node) + 64);
    Node result;
    for (WireReader reader(message); reader.next();) switch (reader.field()) {
        case 1: result.name = text(reader); break;
        case 2: result.op = text(reader); break;
        case 3: result.inputs.push_back(text(reader)); break;
        case 5: {
          const auto [key, value] = map_entry(reader.bytes());
          if (key.starts_with("_")) break;
          budget_.charge(sizeof(Attribute) + 96);
          try {
            result.attributes[key] = attribute(value);
          } catch (const Error& error) {
            throw error.with_context(str("node '", result.name, "', attribute ", key));
          }
          break;
        }
        default: break;
      }
    return result;
  }

  Function function(Bytes message) {
    budget_.charge(sizeof(Function) + 96);
    Function result;
    for (WireReader reader(message); reader.next();) switch (reader.field()) {
        case 1: read_signature(reader.bytes(), result); break;
        case 3: result.nodes.push_back(node(reader.bytes())); break;
        case 4: {
          std::string output, value;
          for (WireReader entry(reader.bytes()); entry.next();) {
            if (entry.field() == 1) output = text(entry);
            if (entry.field() == 2) value = text(entry);
          }
          result.returned[output] = value;
          break;
        }
        default: break;
      }
    return result;
  }

  void read_signature(Bytes message, Function& function) {
    for (WireReader reader(message); reader.next();) {
      if (reader.field() == 1) function.name = text(reader);
      if (reader.field() != 2 && reader.field() != 3) continue;
      auto& list = reader.field() == 2 ? function.inputs : function.outputs;
      std::string name;
      for (WireReader argument(reader.bytes()); argument.next();)
        if (argument.field() == 1) name = text(argument);
      list.push_back(std::move(name));
    }
  }

  void add_integer(Attribute& attribute, int64_t value) {
    GRAFT_CHECK(attribute.integers.size() < kMostListed, "a list of more than ", kMostListed);
    budget_.charge(16);
    attribute.integers.push_back(value);
  }

  Attribute attribute(Bytes message) {
    Attribute result;
    for (WireReader reader(message); reader.next();) switch (reader.field()) {
        case 1: read_list(reader.bytes(), result); break;
        case 2: result.text = text(reader); break;
        case 3:
        case 5:
        case 6: add_integer(result, reader.integer()); break;
        case 4: result.real = reader.real32(); break;
        case 8: read_tensor(reader.bytes(), result); break;
        case 10:
          for (WireReader call(reader.bytes()); call.next();)
            if (call.field() == 1) result.text = text(call);
          break;
        default: break;
      }
    return result;
  }

  void read_list(Bytes message, Attribute& result) {
    for (WireReader reader(message); reader.next();) switch (reader.field()) {
        case 2: result.texts.push_back(text(reader)); break;
        case 3:
        case 5:
        case 6: reader.integers([&](int64_t value) { add_integer(result, value); }); break;
        default: break;
      }
  }

  // --- TensorProto ---

  void read_tensor(Bytes message, Attribute& result) {
    int64_t type = 0;
    std::vector<int64_t> dims;
    Bytes content;
    std::vector<double> numbers;
    const auto add = [&](double number) {
      budget_.charge(16);
      numbers.push_back(number);
    };
    for (WireReader reader(message); reader.next();) switch (reader.field()) {
        case 1: type = reader.integer(); break;
        case 2: dims = read_proto_shape(reader.bytes()).dims; break;
        case 4: content = reader.bytes(); break;
        case 5: reader.fixed<float>(add); break;
        case 6: reader.fixed<double>(add); break;
        case 7:
        case 10:
        case 11: reader.integers([&](int64_t value) { add(static_cast<double>(value)); }); break;
        case 8: result.texts.push_back(text(reader)); break;
        case 13: GRAFT_CHECK(false, "its numbers of 16 bits stand one by one");
        default: break;
      }
    const auto stored = stored_type_of(type);
    if (!stored) return;
    const Shape shape = checked_shape(dims, limits_);
    const int64_t count = shape.numel();
    if (!content.empty() || count == 0) {
      GRAFT_CHECK(std::ssize(content) == checked_mul(count, stored_size(*stored)), "its shape ",
                  shape, " does not fit its ", content.size(), " bytes");
      budget_.charge(checked_mul(count, size_of(widened(*stored))));
      result.tensor = read_elements(*stored, shape, [&](std::span<std::byte> out) {
        std::copy(content.begin(), content.end(), out.begin());
      });
      return;
    }
    // The last number is repeated.
    GRAFT_CHECK(std::ssize(numbers) <= count, "has ", numbers.size(), " numbers for ", shape);
    budget_.charge(checked_mul(count, 16));
    numbers.resize(static_cast<size_t>(count), numbers.empty() ? 0 : numbers.back());
    result.tensor = Tensor::of(shape, numbers).to(widened(*stored));
  }

  Bytes bytes_;
  const ReadLimits& limits_;
  MemoryBudget budget_;
  Model model_;
  int64_t nodes_ = 0;
};

// The names that the restoring part of the graph reads from the checkpoint.
void add_keys(const std::vector<Node>& nodes, std::set<std::string>& keys) {
  for (const Node& node : nodes)
    if (node.op == "Const")
      if (const Attribute* value = node.find("value"))
        keys.insert(value->texts.begin(), value->texts.end());
}

}  // namespace

const Attribute* Node::find(std::string_view attribute) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? nullptr : &found->second;
}

Model parse_model(std::span<const std::byte> bytes, const std::string& name,
                  const ReadLimits& limits) {
  return in_context(name, [&] {
    Model model = GraphReader(bytes, limits)();
    model.path = name;
    return model;
  });
}

Model read_model(const std::string& folder, const ReadLimits& limits) {
  const std::string path = join_path(folder, "saved_model.pb");
  Model model = parse_model(read_file(path, limits.protobuf_bytes), path, limits);
  std::set<std::string> keys;
  add_keys(model.nodes, keys);
  for (const auto& [name, function] : model.functions) add_keys(function.nodes, keys);
  for (const Node& node : model.nodes) {
    keys.insert(node.name);
    if (const Attribute* shared = node.find("shared_name")) keys.insert(shared->text);
  }
  const std::string prefix = join_path(join_path(folder, "variables"), "variables");
  if (file_system().exists(prefix + ".index"))
    model.variables = read_bundle(prefix, {keys.begin(), keys.end()}, limits, model.notes);
  return model;
}

bool is_saved_model(const std::string& folder) {
  return file_system().is_directory(folder) &&
         file_system().exists(join_path(folder, "saved_model.pb"));
}

WeightFile weights_of(const Model& model) {
  WeightFile file;
  file.path = model.path;
  file.format = "saved_model";
  file.roots = {""};
  file.tensors = model.variables;
  file.notes = model.notes;
  file.metadata["producer_name"] = "tensorflow";
  if (!model.tensorflow_version.empty())
    file.metadata["producer_version"] = model.tensorflow_version;
  return file;
}

}  // namespace graft::io::saved_model
