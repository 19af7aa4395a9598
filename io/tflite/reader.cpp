// Reads .tflite files: schema.fbs of TensorFlow Lite, version 3.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/io/tflite/flatbuffer.h"
#include "graft/io/tflite/model.h"
#include "graft/io/tflite/operator_options.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/stored_type.h"
#include "graft/io/weights/zip.h"

namespace graft::io::tflite {
namespace {

using flat::Table;
using flat::Vector;

constexpr int64_t kSchemaVersion = 3;
constexpr size_t kMostListed = 10'000;  // inputs or outputs of one operator
constexpr int64_t kMostLabelBytes = 4 << 20;

StoredType stored_type_of(Type type) {
  switch (type) {
    case Type::float32: return StoredType::f32;
    case Type::float16: return StoredType::f16;
    case Type::int32: return StoredType::i32;
    case Type::uint8: return StoredType::u8;
    case Type::int64: return StoredType::i64;
    case Type::boolean: return StoredType::boolean;
    case Type::int16: return StoredType::i16;
    case Type::int8: return StoredType::i8;
  }
  bad_input("its elements are ", name_of(type), ", which graft does not have");
}

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const ReadLimits& limits)
      : bytes_(bytes), limits_(limits), budget_(std::ssize(bytes)) {}

  Model operator()() {
    const Table root = Table::root(bytes_);
    model_.version = root.number<uint32_t>(0, 0);
    GRAFT_CHECK(model_.version == kSchemaVersion, "its schema is version ", model_.version,
                "; graft reads version ", kSchemaVersion);
    model_.description = text(root.text(3));
    read_operator_codes(root);
    const Vector graphs = root.tables(2);
    GRAFT_CHECK(!graphs.empty(), "holds no graph");
    const Table graph = root.element(graphs, 0);
    read_tensors(root, graph);
    read_operators(graph);
    model_.inputs = indices(graph.numbers(1, 4));
    model_.outputs = indices(graph.numbers(2, 4));
    for (const auto* list : {&model_.inputs, &model_.outputs})
      for (const int64_t index : *list)
        GRAFT_CHECK(index >= 0, "an input or output of its graph is no tensor");
    read_signature(root);
    read_metadata(root);
    if (graphs.size() > 1)
      model_.notes.push_back(
          str("the file holds ", graphs.size(), " graphs; the first is used, the main one"));
    return std::move(model_);
  }

 private:
  std::string text(std::string_view from) {
    GRAFT_CHECK(std::ssize(from) <= limits_.name_bytes, "a text of ", from.size(), " bytes");
    budget_.charge(std::ssize(from) + 32);
    return std::string(from);
  }

  void read_operator_codes(const Table& root) {
    const Vector codes = root.tables(1);
    budget_.charge(static_cast<int64_t>(codes.size()) * 64);
    for (size_t i = 0; i < codes.size(); ++i) {
      const Table code = root.element(codes, i);
      const std::string custom = text(code.text(1));
      const int64_t builtin =
          std::max<int64_t>(code.number<int8_t>(0, 0), code.number<int32_t>(3, 0));
      names_.push_back(custom.empty() ? name_of_operator(builtin) : str("custom '", custom, "'"));
    }
  }

  std::vector<int64_t> indices(const Vector& list) {
    GRAFT_CHECK(list.size() <= kMostListed, "a list of ", list.size(), " tensors");
    budget_.charge(static_cast<int64_t>(list.size()) * 8);
    std::vector<int64_t> result;
    for (size_t i = 0; i < list.size(); ++i) {
      result.push_back(list.number<int32_t>(i));
      GRAFT_CHECK(result.back() >= -1 && result.back() < std::ssize(model_.tensors),
                  "an operator names tensor ", result.back(), " of ", model_.tensors.size());
    }
    return result;
  }

  static std::vector<int64_t> extents(const Vector& list) {
    GRAFT_CHECK(list.size() <= 64, "a shape of ", list.size(), " axes");
    std::vector<int64_t> result;
    for (size_t i = 0; i < list.size(); ++i) result.push_back(list.number<int32_t>(i));
    return result;
  }

  // --- tensors ---

  void read_tensors(const Table& root, const Table& graph) {
    const Vector tensors = graph.tables(0), buffers = root.tables(4);
    GRAFT_CHECK(static_cast<int64_t>(tensors.size()) <= limits_.tensors, "holds ", tensors.size(),
                " tensors");
    budget_.charge(static_cast<int64_t>(tensors.size() * sizeof(StoredTensor)));
    for (size_t i = 0; i < tensors.size(); ++i) {
      StoredTensor tensor;
      const Table stored = graph.element(tensors, i);
      tensor.name = text(stored.text(3));
      try {
        read_tensor(stored, root, buffers, tensor);
      } catch (const Error& error) {
        throw error.with_context(str("tensor '", tensor.name, "'"));
      }
      model_.tensors.push_back(std::move(tensor));
    }
  }

  void read_tensor(const Table& stored, const Table& root, const Vector& buffers,
                   StoredTensor& tensor) {
    tensor.type = static_cast<Type>(stored.number<int8_t>(1, 0));
    tensor.shape = extents(stored.numbers(0, 4));
    const std::vector<int64_t> signature = extents(stored.numbers(7, 4));
    tensor.open_batch = !signature.empty() && signature[0] == -1;
    tensor.variable = stored.number<uint8_t>(5, 0) != 0;
    if (const Table quantization = stored.table(4)) read_quantization(quantization, tensor);
    const Vector data = data_of(stored.number<uint32_t>(2, 0), root, buffers);
    if (data.empty()) return;
    GRAFT_CHECK(!stored.table(6), "is stored sparse, which graft does not read");
    const StoredType type = stored_type_of(tensor.type);
    const Shape shape = checked_shape(tensor.shape, limits_);
    GRAFT_CHECK(std::ssize(data.bytes()) == checked_mul(shape.numel(), stored_size(type)),
                "its shape ", shape, " does not fit its ", data.size(), " bytes");
    budget_.charge(checked_mul(shape.numel(), size_of(widened(type))));
    tensor.value = read_elements(type, shape, [&](std::span<std::byte> out) {
      std::copy(data.bytes().begin(), data.bytes().end(), out.begin());
    });
  }

  Vector data_of(size_t buffer, const Table& root, const Vector& buffers) const {
    if (buffer >= buffers.size()) {
      GRAFT_CHECK(buffer == 0, "its buffer ", buffer, " is not among the ", buffers.size(),
                  " of the file");
      return {};
    }
    const Table table = root.element(buffers, buffer);
    GRAFT_CHECK(table.number<uint64_t>(1, 0) <= 1 && table.number<uint64_t>(2, 0) <= 1,
                "its numbers stand behind the FlatBuffer (a model of more than 2 GB), which graft "
                "does not read");
    return table.numbers(0, 1);
  }

  void read_quantization(const Table& table, StoredTensor& tensor) {
    const Vector scales = table.numbers(2, 4), zeros = table.numbers(3, 8);
    if (scales.empty()) return;
    budget_.charge(static_cast<int64_t>(scales.size()) * 16);
    GRAFT_CHECK(zeros.empty() || zeros.size() == scales.size(), "has ", scales.size(),
                " scales and ", zeros.size(), " zero points");
    Quantization& q = tensor.quantization;
    q.axis = table.number<int32_t>(6, 0);
    for (size_t i = 0; i < scales.size(); ++i) {
      q.scales.push_back(scales.number<float>(i));
      q.zeros.push_back(zeros.empty() ? 0 : zeros.number<int64_t>(i));
      GRAFT_CHECK(std::isfinite(q.scales[i]) && q.scales[i] >= 0 &&
                      std::abs(static_cast<double>(q.zeros[i])) <= 1e9,
                  "its scale ", q.scales[i], " or zero point ", q.zeros[i]);
    }
    if (scales.size() == 1) return;
    GRAFT_CHECK(
        q.axis >= 0 && q.axis < std::ssize(tensor.shape) &&
            tensor.shape[static_cast<size_t>(q.axis)] == static_cast<int64_t>(scales.size()),
        "has ", scales.size(), " scales for axis ", q.axis);
  }

  // --- operators ---

  void read_operators(const Table& graph) {
    const Vector operators = graph.tables(3);
    GRAFT_CHECK(static_cast<int64_t>(operators.size()) <= limits_.nodes, "holds ", operators.size(),
                " operators");
    for (size_t i = 0; i < operators.size(); ++i) {
      const Table stored = graph.element(operators, i);
      const size_t code = stored.number<uint32_t>(0, 0);
      GRAFT_CHECK(code < names_.size(), "operator ", i, " is of kind ", code, " of ",
                  names_.size());
      budget_.charge(sizeof(Operator) + 512);
      Operator op;
      op.name = names_[code];
      op.inputs = indices(stored.numbers(1, 4));
      op.outputs = indices(stored.numbers(2, 4));
      try {
        if (stored.number<uint8_t>(3, 0) != 0)
          op.options = read_options(op.name, stored.table(4));
        else
          op.options = read_options(op.name, Table());
      } catch (const Error& error) {
        throw error.with_context(str(op.name, " (operator ", i, ")"));
      }
      model_.operators.push_back(std::move(op));
    }
  }

  void read_signature(const Table& root) {
    const Vector signatures = root.tables(7);
    for (size_t i = 0; i < std::min<size_t>(signatures.size(), 100); ++i) {
      const Table signature = root.element(signatures, i);
      if (signature.number<uint32_t>(4, 0) != 0) continue;
      for (const size_t field : {size_t{0}, size_t{1}}) {
        const Vector maps = signature.tables(field);
        for (size_t k = 0; k < std::min(maps.size(), kMostListed); ++k) {
          const Table map = signature.element(maps, k);
          const std::string name = text(map.text(0));
          if (!name.empty()) model_.signature.emplace(map.number<uint32_t>(1, 0), name);
        }
      }
      return;
    }
  }

  void read_metadata(const Table& root) {
    const Vector entries = root.tables(6), buffers = root.tables(4);
    for (size_t i = 0; i < std::min<size_t>(entries.size(), 100); ++i) {
      const Table entry = root.element(entries, i);
      if (entry.text(0) != "min_runtime_version") continue;
      const Vector data = data_of(entry.number<uint32_t>(1, 0), root, buffers);
      for (size_t k = 0; k < std::min<size_t>(data.size(), 16); ++k) {
        const char c = static_cast<char>(data.number<uint8_t>(k));
        if ((c >= '0' && c <= '9') || c == '.') model_.minimum_runtime += c;
      }
    }
  }

  std::span<const std::byte> bytes_;
  const ReadLimits& limits_;
  MemoryBudget budget_;
  Model model_;
  std::vector<std::string> names_;
};

// Labels that TensorFlow Lite's metadata tools pack behind the model, as a zip archive of files.
void read_labels(File& file, const ReadLimits& limits, Model& model) {
  std::byte end[22];
  if (file.size() < 44) return;
  file.read_at(file.size() - 22, end);
  if (std::string_view(reinterpret_cast<const char*>(end), 4) != "PK\x05\x06") return;
  try {
    const auto members = read_zip_directory(file, limits);
    const ZipMember* labels = nullptr;
    int64_t texts = 0;
    for (const ZipMember& member : members)
      if (member.name.ends_with(".txt") && member.size <= kMostLabelBytes)
        labels = &member, ++texts;
    if (texts != 1) {
      model.notes.push_back(str("of the ", members.size(),
                                " files packed with the model none can be told to be the labels"));
      return;
    }
    ZipReader reader(file, *labels);
    model.labels.resize(static_cast<size_t>(labels->size));
    reader.read(std::as_writable_bytes(std::span(model.labels)));
    reader.finish();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    model.labels.clear();
    model.notes.push_back(str("the files packed with the model are not used: ", error.what()));
  }
}

}  // namespace

std::string name_of(Type type) {
  constexpr const char* names[] = {
      "FLOAT32", "FLOAT16",   "INT32",  "UINT8",   "INT64",      "STRING", "BOOL",
      "INT16",   "COMPLEX64", "INT8",   "FLOAT64", "COMPLEX128", "UINT64", "RESOURCE",
      "VARIANT", "UINT32",    "UINT16", "INT4",    "BFLOAT16",   "INT2",   "UINT4"};
  const auto code = static_cast<int64_t>(type);
  return code >= 0 && code < std::ssize(names) ? names[code] : str("type ", code);
}

bool starts_as_tflite(std::string_view start) {
  return start.size() >= 8 && start.substr(4, 4) == "TFL3";
}

Model parse_model(std::span<const std::byte> bytes, const std::string& name,
                  const ReadLimits& limits) {
  return in_context(name, [&] {
    Model model = Reader(bytes, limits)();
    model.path = name;
    return model;
  });
}

Model read_model(File& file, const ReadLimits& limits) {
  GRAFT_CHECK(file.size() <= limits.protobuf_bytes, file.path(), ": ", file.size(),
              " bytes, more than the limit of ", limits.protobuf_bytes);
  std::vector<std::byte> bytes(static_cast<size_t>(file.size()));
  file.read_at(0, bytes);
  Model model = parse_model(bytes, file.path(), limits);
  read_labels(file, limits, model);
  return model;
}

Model read_model(const std::string& path, const ReadLimits& limits) {
  const auto file = file_system().open_read(path);
  return read_model(*file, limits);
}

Tensor real_value(const StoredTensor& tensor) {
  const Quantization& q = tensor.quantization;
  if (is_floating(tensor.value.dtype())) return tensor.value.to(DType::f32);
  if (q.scales.empty()) return tensor.value;
  std::vector<double> numbers = tensor.value.to_doubles();
  const auto inner = [&] {
    int64_t elements = 1;
    for (int axis = static_cast<int>(q.axis) + 1; axis < tensor.value.rank(); ++axis)
      elements *= tensor.value.size(axis);
    return static_cast<size_t>(std::max<int64_t>(elements, 1));
  };
  const size_t count = q.scales.size(), stride = count == 1 ? 1 : inner();
  for (size_t i = 0; i < numbers.size(); ++i) {
    const size_t at = count == 1 ? 0 : i / stride % count;
    numbers[i] = q.scales[at] * (numbers[i] - static_cast<double>(q.zeros[at]));
  }
  return Tensor::of(tensor.value.shape(), numbers).to(DType::f32);
}

WeightFile weights_of(const Model& model) {
  WeightFile file;
  file.path = model.path;
  file.format = "tflite";
  file.roots = {""};
  file.notes = model.notes;
  int64_t quantized = 0;
  for (const StoredTensor& tensor : model.tensors) {
    if (!tensor.value.defined() || file.tensors.contains(tensor.name)) continue;
    quantized += !tensor.quantization.scales.empty() && !is_floating(tensor.value.dtype());
    file.tensors.add(tensor.name, real_value(tensor));
  }
  if (quantized > 0)
    file.notes.push_back(str(quantized,
                             " tensors are integers with scales: read as the numbers "
                             "that they stand for"));
  if (!model.labels.empty()) file.metadata["labels"] = model.labels;
  if (!model.description.empty()) file.metadata["producer_name"] = model.description;
  if (!model.minimum_runtime.empty()) file.metadata["producer_version"] = model.minimum_runtime;
  return file;
}

}  // namespace graft::io::tflite
