// The zip of an export archive. Since torch 2.8: models/<name>.json, data/weights/ and
// data/constants/ with a table each (<name>_weights_config.json) and a member a storage. Before:
// serialized_exported_program.json, and pickled state dicts, whose reader is PyTorch's own.
#include "graft/io/torch_export/archive.h"

#include <algorithm>
#include <map>

#include "graft/io/checksums.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/strided_elements.h"

namespace graft::io {
namespace {

constexpr int64_t kMostJsonBytes = int64_t{128} << 20;
constexpr int64_t kMostTensorBytes = 4, kMostReadBytes = 64;  // times the file's size
constexpr const char* kOldGraph = "serialized_exported_program.json";

// Of a ScalarType's code.
StoredType exported_type(int64_t code) {
  switch (code) {
    case 1: return StoredType::u8;
    case 2: return StoredType::i8;
    case 3: return StoredType::i16;
    case 4: return StoredType::i32;
    case 5: return StoredType::i64;
    case 6: return StoredType::f16;
    case 7: return StoredType::f32;
    case 8: return StoredType::f64;
    case 12: return StoredType::boolean;
    case 13: return StoredType::bf16;
    case 28: return StoredType::u16;
    default:
      bad_input("has the element type ", code, " of PyTorch's export, which is not supported");
  }
}

class Archive {
 public:
  Archive(File& file, const ReadLimits& limits, std::vector<ZipMember> members)
      : file_(file),
        limits_(limits),
        members_(std::move(members)),
        tensor_budget_(file.size(), kMostTensorBytes),
        read_budget_(file.size(), kMostReadBytes) {}

  ExportedProgram read() {
    check_members();
    const bool old = find(kOldGraph) != nullptr;
    if (!old) find_model();
    ExportedProgram program = parse_exported_program(
        text_of_member(old ? kOldGraph : "models/" + model_ + ".json"), limits_);
    program.path = file_.path();
    program.notes.insert(program.notes.begin(), notes_.begin(), notes_.end());
    if (old)
      for (const char* name : {"serialized_state_dict", "serialized_constants"}) {
        GRAFT_CHECK(!find(str(name, ".json")), "has its tensors in ", name,
                    ".json, as torch 2.1 wrote them; export the network again");
        read_pickled(str(name, ".pt"), program);
      }
    else
      for (const char* kind : {"weights", "constants"}) read_tensors(kind, program);
    if (widened_ > 0) program.notes.push_back(widened_note(widened_));
    return program;
  }

 private:
  // A member below the archive's one folder.
  const ZipMember* find(const std::string& name) const {
    for (const ZipMember& member : members_)
      if (member.name == root_ + name) return &member;
    return nullptr;
  }

  void check_members() {
    for (const ZipMember& member : members_)
      for (const char* mark : {"archive_format", kOldGraph})
        if (member.name == mark || member.name.ends_with(str("/", mark))) {
          root_ = member.name.substr(0, member.name.size() - std::string_view(mark).size());
          break;
        }
    for (const ZipMember& member : members_) {
      GRAFT_CHECK(!member.deflated, "the zip member '", member.name,
                  "' is compressed, which export archives are not");
      GRAFT_CHECK(!verifies_checksums || member.crc == 0 ||
                      crc_of_range(file_, member.data_offset, member.size) == member.crc,
                  "the zip member '", member.name, "' is damaged: its checksum differs");
    }
    if (find("byteorder"))
      GRAFT_CHECK(text_of_member("byteorder") == "little",
                  "was written on a big-endian machine, which is not supported");
  }

  // Of several models the one that torch.export.save calls "model".
  void find_model() {
    std::vector<std::string> names;
    for (const ZipMember& member : members_) {
      std::string_view name = member.name;
      if (!name.starts_with(root_ + "models/") || !name.ends_with(".json")) continue;
      name.remove_prefix(root_.size() + 7);
      names.emplace_back(name.substr(0, name.size() - 5));
    }
    GRAFT_CHECK(!names.empty(),
                "is an archive of PyTorch without an exported graph (models/model.json); programs "
                "that AOTInductor compiled are not read");
    const bool usual = std::find(names.begin(), names.end(), "model") != names.end();
    GRAFT_CHECK(usual || names.size() == 1, "holds several models: ", join(names),
                "; graft reads the one named model, or the only one");
    model_ = usual ? "model" : names[0];
    if (names.size() > 1)
      notes_.push_back(
          str("the archive holds several models: ", join(names), "; '", model_, "' is used"));
  }

  std::string text_of_member(const std::string& name) const {
    const ZipMember* member = find(name);
    GRAFT_CHECK(member, "has no ", name);
    GRAFT_CHECK(member->size <= kMostJsonBytes, name, " has ", member->size,
                " bytes, more than the limit of ", kMostJsonBytes);
    std::string text(static_cast<size_t>(member->size), '\0');
    if (!text.empty()) file_.read_at(member->data_offset, std::as_writable_bytes(std::span(text)));
    return text;
  }

  void read_pickled(const std::string& name, ExportedProgram& program) {
    const ZipMember* member = find(name);
    if (!member || member->size == 0) return;
    std::vector<std::byte> bytes(static_cast<size_t>(member->size));
    file_.read_at(member->data_offset, bytes);
    MemoryFile inner(name, bytes);
    WeightFile weights;
    try {
      weights = read_pytorch_zip(inner, limits_);
    } catch (const Error& error) {
      if (std::string_view(error.what()).find("holds no tensors") != std::string_view::npos) return;
      throw;
    }
    for (const auto& [tensor, value] : weights.tensors)
      if (!program.tensors.contains(tensor)) program.tensors.add(tensor, value);
    program.notes.insert(program.notes.end(), weights.notes.begin(), weights.notes.end());
  }

  // `kind`: "weights" or "constants".
  void read_tensors(const std::string& kind, ExportedProgram& program) {
    const std::string folder = "data/" + kind + "/";
    const std::string table = folder + model_ + "_" + kind + "_config.json";
    if (!find(table)) {  // torch 2.7's
      if (find(folder + model_ + ".pt")) return read_pickled(folder + model_ + ".pt", program);
      GRAFT_CHECK(kind != "weights", "has no ", table);
      return;
    }
    for (const ExportedTensor& row : parse_tensor_table(text_of_member(table), table, limits_)) {
      if (row.pickled)
        program.notes.push_back(str("'", row.name, "' is a pickled object, which was left out"));
      else if (!program.tensors.contains(row.name))
        in_context(str("tensor '", row.name, "'"), [&] {
          program.tensors.add(row.name, read_tensor(folder + row.path, row.meta));
        });
    }
  }

  Tensor read_tensor(const std::string& path, const ExportedMeta& meta) {
    GRAFT_CHECK(meta.free_axes() == 0 && meta.offset >= 0, "its size or offset is not a number");
    const StoredType type = exported_type(meta.type);
    const ZipMember* member = find(path);
    GRAFT_CHECK(member, "its storage ", path, " is not in the file");
    StridedElements elements{meta.offset, meta.sizes, meta.strides};
    for (size_t axis = 0; axis < elements.sizes.size(); ++axis) {
      if (elements.sizes[axis] <= 1) elements.strides[axis] = 0;  // never used
      GRAFT_CHECK(elements.strides[axis] >= 0, "a stride that is not a number");
    }
    const Shape shape = checked_shape(meta.sizes, limits_);
    const int64_t stored = member->size / stored_size(type);
    if (shape.numel() > 0)
      GRAFT_CHECK(elements.end() <= stored, "shape ", shape, " at offset ", meta.offset,
                  " lies outside of its ", stored, " stored elements");
    auto& views = views_[path];
    for (const auto& [view, tensor] : views)
      if (view.offset == elements.offset && view.sizes == elements.sizes &&
          view.strides == elements.strides && tensor.dtype() == widened(type))
        return tensor;
    tensor_budget_.charge(checked_mul(shape.numel(), size_of(widened(type))));
    widened_ += is_widened(type);
    const Tensor tensor =
        read_strided(file_, member->data_offset, type, shape, elements, read_budget_);
    if (views.size() < 16) views.emplace_back(elements, tensor);
    return tensor;
  }

  File& file_;
  const ReadLimits& limits_;
  std::vector<ZipMember> members_;
  MemoryBudget tensor_budget_, read_budget_;
  std::string root_, model_ = "model";
  std::vector<std::string> notes_;
  std::map<std::string, std::vector<std::pair<StridedElements, Tensor>>> views_;  // by storage
  int64_t widened_ = 0;
};

}  // namespace

bool is_export_archive(const std::vector<ZipMember>& members) {
  return std::any_of(members.begin(), members.end(), [](const ZipMember& member) {
    const std::string_view name = member.name;
    return name == "archive_format" || name.ends_with("/archive_format") || name == kOldGraph;
  });
}

ExportedProgram read_exported_program(File& file, const ReadLimits& limits) {
  return in_context(file.path(),
                    [&] { return Archive(file, limits, read_zip_directory(file, limits)).read(); });
}

ExportedProgram read_exported_program(const std::string& path, const ReadLimits& limits) {
  const auto file = file_system().open_read(path);
  return read_exported_program(*file, limits);
}

WeightFile read_export_weights(File& file, const ReadLimits& limits) {
  ExportedProgram program = read_exported_program(file, limits);
  WeightFile result;
  result.path = file.path();
  result.format = "pt2";
  result.roots = {""};
  result.tensors = std::move(program.tensors);
  result.metadata = {{"producer_name", "torch.export"},
                     {"producer_version", program.torch_version}};
  result.notes = std::move(program.notes);
  return result;
}

}  // namespace graft::io
