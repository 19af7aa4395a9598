#include "graft/io/weights/pytorch_tensors.h"

#include <algorithm>
#include <tuple>

#include "graft/io/weights/pickled_array.h"
#include "graft/io/weights/strided_elements.h"

namespace graft::io {
namespace {

constexpr int64_t most_tensor_bytes = 4;  // times the file's size
constexpr int64_t most_read_bytes =
    64;  // times the file's size, so that overlapping views cannot take forever
constexpr int64_t most_visits = 4'000'000;
constexpr size_t most_roots = 64;

int64_t integer_at(const Pickle& pickle, uint32_t index) {
  const PickleValue& value = pickle.at(index);
  GRAFT_CHECK(value.kind == PickleKind::integer && value.integer >= 0,
              "has a damaged size or offset");
  return value.integer;
}

std::vector<int64_t> integers_at(const Pickle& pickle, uint32_t index) {
  const PickleValue& value = pickle.at(index);
  GRAFT_CHECK(value.kind == PickleKind::tuple || value.kind == PickleKind::list,
              "has a damaged shape");
  GRAFT_CHECK(value.items.size() <= 64, "has ", value.items.size(), " axes");
  std::vector<int64_t> result;
  for (const uint32_t item : value.items) result.push_back(integer_at(pickle, item));
  return result;
}

// A tensor's description; its elements are of `type`.
struct View : StridedElements {
  StorageUse storage;
  StoredType type = StoredType::f32;

  auto identity() const { return std::tie(storage.key, type, offset, sizes, strides); }
};

StoredType element_type(const Pickle& pickle, uint32_t index) {
  const PickleValue& value = pickle.at(index);
  GRAFT_CHECK(value.kind == PickleKind::global &&
                  pickle_global(value.integer).rule == GlobalRule::element_type,
              "has a damaged element type");
  const PickleGlobal& global = pickle_global(value.integer);
  GRAFT_CHECK(global.type.has_value(), "has the element type torch.", global.name,
              ", which is not supported");
  return *global.type;
}

View parse_view(const Pickle& pickle, const PickleValue& tensor) {
  const PickleValue& storage = pickle.at(tensor.items[0]);
  GRAFT_CHECK(storage.kind == PickleKind::storage, "has no storage");
  View view;
  view.storage = storage_use(pickle, storage);
  view.type = tensor.integer == 3 ? element_type(pickle, tensor.items[6]) : view.storage.type;
  view.sizes = integers_at(pickle, tensor.items[2]);
  view.strides = integers_at(pickle, tensor.items[3]);
  GRAFT_CHECK(view.sizes.size() == view.strides.size(), "has ", view.sizes.size(), " sizes and ",
              view.strides.size(), " strides");
  for (size_t axis = 0; axis < view.sizes.size(); ++axis)
    if (view.sizes[axis] <= 1) view.strides[axis] = 0;  // never used, and may be anything
  view.offset = integer_at(pickle, tensor.items[1]);
  if (view.storage.view_offset > 0) {
    GRAFT_CHECK(view.type == view.storage.type, "has a view of another type");
    view.offset = checked_add(view.offset, view.storage.view_offset);
  }
  return view;
}

class Collector {
 public:
  Collector(const TensorSource& source, WeightFile& result)
      : source_(source),
        result_(result),
        tensor_budget_(source.file.size(), most_tensor_bytes),
        read_budget_(source.file.size(), most_read_bytes),
        name_budget_(source.file.size()) {}

  void run() {
    visit(source_.pickle.root, "", 0);
    const PickleValue& root = source_.pickle.at(source_.pickle.root);
    const std::string code = names_of_code(source_.pickle, source_.code);
    GRAFT_CHECK(!result_.tensors.empty(), "holds no tensors",
                code.empty() ? "" : "; it contains code: ", code,
                code.empty() ? "" : ", which graft does not run");
    if (!code.empty())
      result_.notes.push_back(str("the file contains code, which graft does not run: ", code,
                                  "; the tensors among its values are read"));
    find_roots(root);
    if (widened_ > 0) result_.notes.push_back(widened_note(widened_));
    if (left_out_ > 0)
      result_.notes.push_back(str("skipped ", left_out_,
                                  left_out_ == 1 ? " value that is" : " values that are",
                                  left_out_ == 1 ? " not a tensor" : " not tensors"));
    note_module_prefix();
  }

 private:
  void visit(uint32_t index, const std::string& name, int depth) {
    const PickleValue& value = source_.pickle.at(index);
    GRAFT_CHECK(++visits_ <= most_visits, "its pickle refers to the same values too often");
    switch (value.kind) {
      case PickleKind::tensor: return add_tensor(value, name.empty() ? "tensor" : name);
      case PickleKind::array:
        if (is_numeric_array(source_.pickle, value))
          return add_array(value, name.empty() ? "array" : name);
        ++left_out_;
        return;
      case PickleKind::dict:
      case PickleKind::object:
      case PickleKind::list:
      case PickleKind::tuple: break;
      default: ++left_out_; return;
    }
    GRAFT_CHECK(depth < source_.limits.nesting, "its pickle is nested deeper than ",
                source_.limits.nesting, " levels");
    const bool is_object = value.kind == PickleKind::object,
               is_dict = is_object || value.kind == PickleKind::dict;
    within_objects_ += is_object;
    for (size_t i = 0; i < value.items.size(); i += is_dict ? 2 : 1) {
      const std::string part = is_dict ? key_text(value.items[i]) : std::to_string(i);
      const std::string path = is_object && is_module_table(part) ? name
                               : name.empty()                     ? part
                                                                  : name + "." + part;
      name_budget_.charge(static_cast<int64_t>(path.size()));
      GRAFT_CHECK(static_cast<int64_t>(path.size()) <= source_.limits.name_bytes,
                  "a tensor's name has ", path.size(), " bytes");
      visit(value.items[is_dict ? i + 1 : i], path, depth + 1);
    }
    within_objects_ -= is_object;
  }
  // Where a torch.nn.Module keeps what its state dict names without them.
  static bool is_module_table(std::string_view part) {
    return part == "_parameters" || part == "_buffers" || part == "_modules";
  }
  std::string key_text(uint32_t index) const {
    const PickleValue& key = source_.pickle.at(index);
    if (key.kind == PickleKind::text || key.kind == PickleKind::bytes)
      return std::string(key.text.substr(0, static_cast<size_t>(source_.limits.name_bytes + 1)));
    return key.kind == PickleKind::integer ? std::to_string(key.integer)
                                           : str("(value ", index, ")");
  }

  void add_tensor(const PickleValue& value, const std::string& name) {
    GRAFT_CHECK(static_cast<int64_t>(result_.tensors.size()) < source_.limits.tensors,
                "has too many tensors");
    name_budget_.charge(300);
    if (within_objects_ > 0 && result_.tensors.contains(name)) {  // an attribute beside a parameter
      ++left_out_;
      return;
    }
    in_context(str("tensor '", name, "'"), [&] {
      const View view = parse_view(source_.pickle, value);
      auto& list = same_storage_[view.storage.key];
      const auto known = std::find_if(list.begin(), list.end(), [&](const auto& entry) {
        return entry.first.identity() == view.identity();
      });
      if (known != list.end()) return result_.tensors.add(name, known->second);
      Tensor tensor = read(view);
      if (list.size() < 16) list.emplace_back(view, tensor);
      widened_ += is_widened(view.type);
      result_.tensors.add(name, std::move(tensor));
    });
  }

  Tensor read(const View& view) {
    const auto found = source_.storages.find(view.storage.key);
    GRAFT_CHECK(found != source_.storages.end(), "its storage '", view.storage.key.substr(0, 100),
                "' is not in the file");
    const StorageRecord& record = found->second;
    const int64_t storage_bytes = checked_mul(view.storage.numel, stored_size(view.storage.type));
    GRAFT_CHECK(storage_bytes == record.bytes, "its storage should have ", storage_bytes,
                " bytes, the file has ", record.bytes);
    const Shape shape = checked_shape(view.sizes, source_.limits);
    const int64_t size = stored_size(view.type);
    const bool is_view =
        view.storage.view_offset != 0 || view.storage.view_numel != view.storage.numel;
    const int64_t end_elements =
        is_view ? view.storage.view_offset + view.storage.view_numel : storage_bytes / size;
    if (shape.numel() > 0)
      GRAFT_CHECK(view.end() <= end_elements, "shape ", shape, " at offset ", view.offset,
                  " lies outside of its ", end_elements, " stored elements");
    tensor_budget_.charge(checked_mul(shape.numel(), size_of(widened(view.type))));
    return read_strided(source_.file, record.offset, view.type, shape, view, read_budget_);
  }

  void add_array(const PickleValue& value, const std::string& name) {
    GRAFT_CHECK(static_cast<int64_t>(result_.tensors.size()) < source_.limits.tensors,
                "has too many tensors");
    name_budget_.charge(300);
    in_context(str("array '", name, "'"), [&] {
      StoredArray array = parse_array(source_.pickle, value, source_.limits);
      tensor_budget_.charge(checked_mul(array.shape.numel(), size_of(widened(array.type))));
      widened_ += is_widened(array.type);
      result_.tensors.add(name, read_array(array));
    });
  }

  bool has_tensor(const PickleValue& dict) const {
    for (size_t i = 1; i < dict.items.size(); i += 2) {
      const PickleKind kind = source_.pickle.at(dict.items[i]).kind;
      if (kind == PickleKind::tensor || kind == PickleKind::array) return true;
    }
    return false;
  }
  // State dicts inside a checkpoint are its dictionaries that hold tensors directly; the usual keys
  // come first.
  void find_roots(const PickleValue& root) {
    if (root.kind != PickleKind::dict || has_tensor(root)) result_.roots = {""};
    if (root.kind != PickleKind::dict) return;
    std::vector<std::string> keys;
    for (size_t i = 0; i < root.items.size(); i += 2) {
      const PickleValue& value = source_.pickle.at(root.items[i + 1]);
      if (value.kind == PickleKind::dict && has_tensor(value))
        keys.push_back(key_text(root.items[i]));
    }
    for (const char* usual : {"state_dict", "model_state_dict", "model", "net", "network",
                              "state_dict_ema", "model_ema"}) {
      const auto found = std::find(keys.begin(), keys.end(), usual);
      if (found != keys.end())
        std::rotate(keys.begin() + static_cast<std::ptrdiff_t>(ordered_++), found, found + 1);
    }
    keys.resize(std::min(keys.size(), most_roots));  // each is compared with every name
    for (const std::string& key : keys) result_.roots.push_back(key + ".");
    if (result_.roots.empty()) result_.roots = {""};
    if (!keys.empty())
      result_.notes.push_back(
          str("the file is a checkpoint; its weights stand under ", join(keys)));
  }
  void note_module_prefix() {
    for (const std::string& root : result_.roots) {
      bool all = true;
      for (const auto& [name, tensor] : result_.tensors)
        if (name.starts_with(root))
          all = all && std::string_view(name).substr(root.size()).starts_with("module.");
      if (all)
        result_.notes.push_back(
            "every name starts with 'module.' (the network was saved from DataParallel)");
      if (all) return;
    }
  }

  const TensorSource& source_;
  WeightFile& result_;
  MemoryBudget tensor_budget_, read_budget_, name_budget_;
  std::map<std::string_view, std::vector<std::pair<View, Tensor>>> same_storage_;
  size_t ordered_ = 0;
  int64_t visits_ = 0, widened_ = 0, left_out_ = 0;
  int within_objects_ = 0;
};

}  // namespace

std::string names_of_code(const Pickle& pickle, const std::vector<std::string>& beside) {
  constexpr size_t shown = 4;
  std::vector<std::string> names = beside;
  names.insert(names.end(), pickle.foreign.begin(), pickle.foreign.end());
  if (names.size() <= shown) return join(names);
  return str(join(std::vector(names.begin(), names.begin() + shown)), " and ", names.size() - shown,
             " more");
}

StorageUse storage_use(const Pickle& pickle, const PickleValue& storage) {
  const auto text_at = [&](size_t i) {
    const PickleValue& value = pickle.at(storage.items[i]);
    GRAFT_CHECK(value.kind == PickleKind::text, "has a damaged storage");
    return value.text;
  };
  const PickleValue& type = pickle.at(storage.items[0]);
  GRAFT_CHECK(type.kind == PickleKind::global &&
                  pickle_global(type.integer).rule == GlobalRule::storage_type,
              "has a storage without a type");
  const PickleGlobal& global = pickle_global(type.integer);
  GRAFT_CHECK(global.type.has_value(), "has a ", global.module, ".", global.name,
              ", which is not supported");
  StorageUse use;
  use.type = *global.type;
  use.key = text_at(1);
  use.numel = integer_at(pickle, storage.items[3]);
  use.view_numel = use.numel;
  if (storage.items.size() == 5 && pickle.at(storage.items[4]).kind != PickleKind::none) {
    const PickleValue& view = pickle.at(storage.items[4]);
    GRAFT_CHECK(view.kind == PickleKind::tuple && view.items.size() == 3,
                "has a damaged view of a storage");
    use.view_offset = integer_at(pickle, view.items[1]);
    use.view_numel = integer_at(pickle, view.items[2]);
    GRAFT_CHECK(use.view_offset <= use.numel && use.view_numel <= use.numel - use.view_offset,
                "has a view outside of its storage");
  }
  return use;
}

void collect_tensors(const TensorSource& source, WeightFile& result) {
  Collector(source, result).run();
}

}  // namespace graft::io
