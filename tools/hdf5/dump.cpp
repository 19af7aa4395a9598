#include "graft/tools/hdf5/dump.h"

#include <hdf5.h>

#include <map>
#include <new>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"

namespace graft::tools {
namespace {

constexpr int kMostNesting = 32;
constexpr size_t kMostDataSets = 100'000;
constexpr size_t kMostNameBytes = 4'096;
constexpr size_t kMostTextBytes = 64 << 20;  // Keras' description of a model
constexpr int64_t kMostInflation = 1'100;    // deflate reaches 1,032

// An HDF5 identifier, closed by its own kind's function.
class Id {
 public:
  Id(hid_t id, herr_t (*close)(hid_t), const std::string& what) : id_(id), close_(close) {
    GRAFT_CHECK(id >= 0, what, " cannot be read: the file is damaged");
  }
  ~Id() { close_(id_); }
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

struct DataSet {
  std::string path, type;  // safetensors' name of the type
  hid_t memory_type;       // borrowed from the library, or -1: as it is stored
  std::vector<int64_t> extents;
  int64_t bytes = 0;
};

// Text as Keras writes it: one string of fixed or variable length. "" for anything else.
std::string text_attribute(hid_t object, const char* name) {
  if (H5Aexists(object, name) <= 0) return "";
  const Id attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, str("the attribute ", name));
  const Id type(H5Aget_type(attribute), H5Tclose, str("the attribute ", name));
  const Id space(H5Aget_space(attribute), H5Sclose, str("the attribute ", name));
  if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1) return "";
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    const Id memory(H5Tcopy(H5T_C_S1), H5Tclose, "text");
    H5Tset_size(memory, H5T_VARIABLE);
    H5Tset_cset(memory, H5Tget_cset(type));
    GRAFT_CHECK(H5Aread(attribute, memory, &text) >= 0, "the attribute ", name, " cannot be read");
    const std::string result = text == nullptr ? "" : text;
    H5free_memory(text);
    return result.size() <= kMostTextBytes ? result : "";
  }
  const size_t size = H5Tget_size(type);
  if (size == 0 || size > kMostTextBytes) return "";
  std::string result(size, '\0');
  GRAFT_CHECK(H5Aread(attribute, type, result.data()) >= 0, "the attribute ", name,
              " cannot be read");
  return result.substr(0, result.find('\0'));
}

// The stored element type; an empty name for what is no number.
void set_type(hid_t type, DataSet& set) {
  const size_t size = H5Tget_size(type);
  const H5T_class_t kind = H5Tget_class(type);
  set.memory_type = -1;
  if (kind == H5T_INTEGER) {
    const bool has_sign = H5Tget_sign(type) == H5T_SGN_2;
    if (size == 1)
      set.type = has_sign ? "I8" : "U8",
      set.memory_type = has_sign ? H5T_NATIVE_INT8 : H5T_NATIVE_UINT8;
    if (size == 2)
      set.type = has_sign ? "I16" : "U16",
      set.memory_type = has_sign ? H5T_NATIVE_INT16 : H5T_NATIVE_UINT16;
    if (size == 4)
      set.type = has_sign ? "I32" : "U32",
      set.memory_type = has_sign ? H5T_NATIVE_INT32 : H5T_NATIVE_UINT32;
    if (size == 8)
      set.type = has_sign ? "I64" : "U64",
      set.memory_type = has_sign ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
  }
  if (kind != H5T_FLOAT) return;
  if (size == 4) set.type = "F32", set.memory_type = H5T_NATIVE_FLOAT;
  if (size == 8) set.type = "F64", set.memory_type = H5T_NATIVE_DOUBLE;
  if (size != 2 || H5Tget_order(type) != H5T_ORDER_LE) return;
  size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
  if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0 ||
      sign != 15 || mantissa != 0)
    return;
  if (exponent_bits == 5 && mantissa_bits == 10) set.type = "F16";
  if (exponent_bits == 8 && mantissa_bits == 7) set.type = "BF16";
}

class Walker {
 public:
  explicit Walker(int64_t file_bytes) : left_in_file_(file_bytes) {}

  std::vector<DataSet> sets;
  std::map<std::string, std::string> metadata;
  int64_t skipped = 0;

  void walk(hid_t group, const std::string& path, int depth) {
    GRAFT_CHECK(depth <= kMostNesting, "its groups nest deeper than ", kMostNesting);
    H5O_info_t object;
    GRAFT_CHECK(H5Oget_info(group, &object) >= 0, "the group '", path,
                "' cannot be read: the file is damaged");
    GRAFT_CHECK(groups_.insert(object.addr).second, "the group '", path,
                "' is part of itself or stands in two places");
    const std::string name = text_attribute(group, "name");
    if (!name.empty()) metadata["keras.name:" + path] = name;
    H5G_info_t info;
    GRAFT_CHECK(H5Gget_info(group, &info) >= 0, "the group '", path,
                "' cannot be read: the file is damaged");
    GRAFT_CHECK(info.nlinks <= kMostDataSets, "the group '", path, "' has ", info.nlinks,
                " members");
    for (const std::string& member : members_of(group, path)) visit(group, path, member, depth);
  }

 private:
  // In the order of names, in one pass: asked for one by one, each would be searched from the
  // start.
  static std::vector<std::string> members_of(hid_t group, const std::string& path) {
    std::vector<std::string> names;
    hsize_t at = 0;
    const auto add_name = [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
      try {
        static_cast<std::vector<std::string>*>(list)->emplace_back(name);
        return 0;
      } catch (const std::bad_alloc&) {
        return -1;  // nothing is thrown through libhdf5
      }
    };
    const herr_t walked = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &at, add_name, &names);
    GRAFT_CHECK(walked >= 0 && names.size() <= kMostDataSets, "the members of the group '", path,
                "' cannot be read: the file is damaged");
    return names;
  }

  void visit(hid_t group, const std::string& parent, const std::string& member, int depth) {
    const char* name = member.c_str();
    GRAFT_CHECK(!member.empty() && member.size() < kMostNameBytes, "a member of the group '",
                parent, "' has no readable name");
    const std::string path = parent.empty() ? member : parent + "/" + member;
    H5L_info_t link;
    GRAFT_CHECK(H5Lget_info(group, name, &link, H5P_DEFAULT) >= 0, "'", path,
                "' cannot be read: the file is damaged");
    GRAFT_CHECK(link.type == H5L_TYPE_HARD, "'", path,
                "' is a link to somewhere else, which is not followed");
    const Id object(H5Oopen(group, name, H5P_DEFAULT), H5Oclose, str("'", path, "'"));
    const H5I_type_t kind = H5Iget_type(object);
    if (kind == H5I_GROUP) walk(object, path, depth + 1);
    if (kind == H5I_DATASET) add(object, path);
  }

  void add(hid_t data, const std::string& path) {
    const std::string what = str("data set '", path, "'");
    GRAFT_CHECK(sets.size() < kMostDataSets, "has more than ", kMostDataSets, " data sets");
    DataSet set{.path = path, .type = "", .memory_type = -1, .extents = {}};
    const Id type(H5Dget_type(data), H5Tclose, what);
    set_type(type, set);
    if (set.type.empty()) {
      ++skipped;
      return;
    }
    const Id made(H5Dget_create_plist(data), H5Pclose, what);
    GRAFT_CHECK(H5Pget_layout(made) != H5D_VIRTUAL && H5Pget_external_count(made) == 0, what,
                ": its data stands in other files, which are not read");
    const Id space(H5Dget_space(data), H5Sclose, what);
    const int rank = H5Sget_simple_extent_ndims(space);
    GRAFT_CHECK(H5Sget_simple_extent_type(space) != H5S_NULL && rank >= 0 && rank <= 8, what,
                ": has the rank ", rank);
    hsize_t extents[H5S_MAX_RANK];
    GRAFT_CHECK(H5Sget_simple_extent_dims(space, extents, nullptr) == rank, what,
                ": its shape cannot be read");
    set.bytes = static_cast<int64_t>(H5Tget_size(type));
    for (int axis = 0; axis < rank; ++axis) {
      GRAFT_CHECK(extents[axis] <= (hsize_t{1} << 40), what, ": has an extent of ", extents[axis]);
      set.extents.push_back(static_cast<int64_t>(extents[axis]));
      set.bytes = checked_mul(set.bytes, set.extents.back());
    }
    check_stored(H5Dget_storage_size(data), H5Pget_layout(made) == H5D_CHUNKED, set.bytes, what);
    sets.push_back(std::move(set));
  }

  // The file must hold what is claimed: nothing is made of fill values, and no byte serves two data
  // sets.
  void check_stored(hsize_t stored, bool chunked, int64_t bytes, const std::string& what) {
    GRAFT_CHECK(stored <= static_cast<hsize_t>(left_in_file_), what, ": claims ", stored,
                " bytes of the file, more than it has");
    const auto kept = static_cast<int64_t>(stored);
    left_in_file_ -= kept;
    GRAFT_CHECK(bytes <= (chunked ? checked_mul(kept, kMostInflation) : kept), what, ": has ",
                bytes, " bytes, of which the file holds ", kept);
  }

  std::set<haddr_t> groups_;
  int64_t left_in_file_;
};

// The file in memory, which libhdf5 reads in place: it opens no file by itself.
class Image {
 public:
  explicit Image(std::span<std::byte> bytes) : bytes_(bytes.data()), size_(bytes.size()) {}
  int64_t size() const { return static_cast<int64_t>(size_); }

  // Libhdf5 would copy the image twice; these hand it the one there is.
  hid_t open() {
    const Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "the file");
    H5FD_file_image_callbacks_t callbacks{};
    callbacks.image_malloc = [](size_t, H5FD_file_image_op_t, void* image) {
      return static_cast<Image*>(image)->bytes_;
    };
    callbacks.image_memcpy = [](void* to, const void*, size_t, H5FD_file_image_op_t, void*) {
      return to;
    };
    callbacks.image_realloc = [](void*, size_t, H5FD_file_image_op_t, void*) -> void* {
      return nullptr;
    };
    callbacks.image_free = [](void*, H5FD_file_image_op_t, void*) -> herr_t { return 0; };
    callbacks.udata_copy = [](void* image) { return image; };
    callbacks.udata_free = [](void*) -> herr_t { return 0; };
    callbacks.udata = this;
    H5Pset_fapl_core(access, 1 << 16, 0);
    H5Pset_file_image_callbacks(access, &callbacks);
    H5Pset_file_image(access, bytes_, size_);
    return H5Fopen("image", H5F_ACC_RDONLY, access);
  }

 private:
  void* bytes_ = nullptr;
  size_t size_ = 0;
};

std::string header_of(const Walker& walker) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header["__metadata__"] = walker.metadata;
  int64_t position = 0;
  // Put behind one another: header[path] would look at every entry before it, and paths differ.
  auto& entries = header.get_ref<nlohmann::ordered_json::object_t&>();
  for (const DataSet& set : walker.sets) {
    entries.push_back({set.path,
                       {{"dtype", set.type},
                        {"shape", set.extents},
                        {"data_offsets", {position, checked_add(position, set.bytes)}}}});
    position += set.bytes;
  }
  try {
    return header.dump();
  } catch (const nlohmann::json::exception&) {
    bad_input("a name is not valid UTF-8");
  }
}

template <class T>
std::span<const std::byte> raw(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

void dump_hdf5(std::span<std::byte> bytes, const std::map<std::string, std::string>& notes,
               FunctionRef<void(std::span<const std::byte>)> write) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);  // no filter is loaded from a file
  Image image(bytes);
  const Id file(image.open(), H5Fclose, "the HDF5 structure");
  Walker walker(image.size());
  walker.metadata = notes;
  {
    const Id root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose, "the root group");
    walker.walk(root, "", 0);
    for (const char* name : {"keras_version", "backend"})
      if (const std::string text = text_attribute(root, name); !text.empty())
        walker.metadata[name] = text;
    if (const std::string text = text_attribute(root, "model_config"); !text.empty())
      walker.metadata["keras.config"] = text;
  }
  if (walker.skipped > 0) walker.metadata["hdf5.skipped"] = std::to_string(walker.skipped);
  const std::string header = header_of(walker);
  int64_t total = 8 + static_cast<int64_t>(header.size());
  for (const DataSet& set : walker.sets) total = checked_add(total, set.bytes);
  const auto header_bytes = static_cast<uint64_t>(header.size());
  write(raw(total));
  write(raw(header_bytes));
  write(std::as_bytes(std::span(header)));
  std::vector<std::byte> buffer;
  for (const DataSet& set : walker.sets) {
    buffer.resize(static_cast<size_t>(set.bytes));
    const Id data(H5Dopen2(file, set.path.c_str(), H5P_DEFAULT), H5Dclose,
                  str("data set '", set.path, "'"));
    const Id type(H5Dget_type(data), H5Tclose, str("data set '", set.path, "'"));
    const herr_t read =
        H5Dread(data, set.memory_type < 0 ? static_cast<hid_t>(type) : set.memory_type, H5S_ALL,
                H5S_ALL, H5P_DEFAULT, buffer.data());
    GRAFT_CHECK(read >= 0, "data set '", set.path,
                "': its data cannot be read: the file is damaged");
    write(buffer);
  }
}

}  // namespace graft::tools
