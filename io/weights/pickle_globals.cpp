// The names of a checkpoint that mean data to graft. None of them is looked up or called: each has
// a rule that builds data.
#include "graft/io/weights/pickle_globals.h"

#include <map>

namespace graft::io {
namespace {

std::vector<PickleGlobal> make_globals() {
  std::vector<PickleGlobal> list = {
      {"collections", "OrderedDict", GlobalRule::ordered_dict, {}},
      {"collections", "defaultdict", GlobalRule::dictionary, {}},
      {"collections", "Counter", GlobalRule::dictionary, {}},
      {"torch", "Size", GlobalRule::size, {}},
      {"torch._utils", "_rebuild_tensor", GlobalRule::tensor_v1, {}},
      {"torch._utils", "_rebuild_tensor_v2", GlobalRule::tensor_v2, {}},
      {"torch._utils", "_rebuild_tensor_v3", GlobalRule::tensor_v3, {}},
      {"torch._utils", "_rebuild_parameter", GlobalRule::parameter, {}},
      {"torch._utils", "_rebuild_parameter_with_state", GlobalRule::parameter, {}},
      {"torch.storage", "UntypedStorage", GlobalRule::storage_type, StoredType::u8},
      {"torch", "UntypedStorage", GlobalRule::storage_type, StoredType::u8},
      {"torch", "device", GlobalRule::inert, {}},
      {"argparse", "Namespace", GlobalRule::inert, {}},
      {"_codecs", "encode", GlobalRule::encoding, {}},
      {"numpy", "dtype", GlobalRule::array_element, {}},
      {"numpy", "ndarray", GlobalRule::inert, {}},
      {"numpy.core.multiarray", "_reconstruct", GlobalRule::array, {}},
      {"numpy._core.multiarray", "_reconstruct", GlobalRule::array, {}},
      {"numpy.core.numeric", "_frombuffer", GlobalRule::array_of_buffer, {}},
      {"numpy._core.numeric", "_frombuffer", GlobalRule::array_of_buffer, {}},
      {"numpy.core.multiarray", "scalar", GlobalRule::inert, {}},
      {"numpy._core.multiarray", "scalar", GlobalRule::inert, {}},
  };
  for (const char* module : {"builtins", "__builtin__"}) {
    list.push_back({module, "set", GlobalRule::set, {}});
    list.push_back({module, "frozenset", GlobalRule::set, {}});
    for (const char* name :
         {"int", "long", "float", "bool", "str", "list", "dict", "tuple", "complex"})
      list.push_back({module, name, GlobalRule::inert, {}});
  }
  const std::pair<const char*, std::optional<StoredType>> storages[] = {
      {"DoubleStorage", StoredType::f64},
      {"FloatStorage", StoredType::f32},
      {"HalfStorage", StoredType::f16},
      {"BFloat16Storage", StoredType::bf16},
      {"LongStorage", StoredType::i64},
      {"IntStorage", StoredType::i32},
      {"ShortStorage", StoredType::i16},
      {"CharStorage", StoredType::i8},
      {"ByteStorage", StoredType::u8},
      {"BoolStorage", StoredType::boolean},
      {"ComplexFloatStorage", {}},
      {"ComplexDoubleStorage", {}},
      {"QInt8Storage", {}},
      {"QUInt8Storage", {}},
      {"QInt32Storage", {}},
      {"QUInt4x2Storage", {}},
      {"QUInt2x4Storage", {}}};
  for (const auto& [name, type] : storages)
    for (const char* module : {"torch", "torch.cuda"})
      list.push_back({module, name, GlobalRule::storage_type, type});
  const std::pair<const char*, std::optional<StoredType>> elements[] = {
      {"float64", StoredType::f64},
      {"float32", StoredType::f32},
      {"float16", StoredType::f16},
      {"bfloat16", StoredType::bf16},
      {"int64", StoredType::i64},
      {"int32", StoredType::i32},
      {"int16", StoredType::i16},
      {"int8", StoredType::i8},
      {"uint64", StoredType::u64},
      {"uint32", StoredType::u32},
      {"uint16", StoredType::u16},
      {"uint8", StoredType::u8},
      {"bool", StoredType::boolean},
      {"complex32", {}},
      {"complex64", {}},
      {"complex128", {}},
      {"float8_e4m3fn", {}},
      {"float8_e4m3fnuz", {}},
      {"float8_e5m2", {}},
      {"float8_e5m2fnuz", {}},
      {"float8_e8m0fnu", {}},
      {"float4_e2m1fn_x2", {}},
      {"qint8", {}},
      {"quint8", {}},
      {"qint32", {}}};
  for (const auto& [name, type] : elements)
    list.push_back({"torch", name, GlobalRule::element_type, type});
  return list;
}

const std::vector<PickleGlobal>& globals() {
  static const std::vector<PickleGlobal> list = make_globals();
  return list;
}

// For messages: short, and without bytes that a terminal would act on.
std::string printable(std::string_view text) {
  std::string result(text.substr(0, 100));
  for (char& c : result)
    if (c < ' ' || c > '~') c = '?';
  return result;
}

}  // namespace

const PickleGlobal& pickle_global(int64_t index) {
  static const PickleGlobal foreign{"another", "name", GlobalRule::inert, {}};
  return index == kForeignGlobal ? foreign : globals()[static_cast<size_t>(index)];
}

int64_t find_pickle_global(std::string_view module, std::string_view name) {
  static const auto index = [] {
    std::map<std::pair<std::string_view, std::string_view>, int64_t> map;
    for (size_t i = 0; i < globals().size(); ++i)
      map.emplace(
          std::pair(std::string_view(globals()[i].module), std::string_view(globals()[i].name)),
          static_cast<int64_t>(i));
    return map;
  }();
  const auto found = index.find({module, name});
  if (found != index.end()) return found->second;
  if (module == "torch._utils" && name.starts_with("_rebuild_"))
    bad_input("needs torch._utils.", printable(name), ", but only dense tensors are read");
  return kForeignGlobal;
}

std::string printable_global(std::string_view module, std::string_view name) {
  return printable(module) + "." + printable(name);
}

}  // namespace graft::io
