// Python's pickle format as data: a virtual machine that builds values and can call nothing.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graft/io/weights/stored_type.h"

namespace graft::io {

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,
  big_integer,
  real,
  text,
  bytes,
  list,
  tuple,
  dict,
  set,
  global,   // a name; what is not on the allow-list stands for nothing that graft has
  storage,  // torch's persistent id: items = (type, key, location, numel [, view])
  tensor,   // items = torch._utils._rebuild_tensor's arguments; integer = which of its versions (1,
            // 2 or 3)
  array,    // NumPy's: items = shape, element, fortran order, data, once its state was set
  element,  // a NumPy dtype: text "f4"; integer 1: big-endian
  encoded,  // bytes as a text whose characters are below 256, in UTF-8 (protocol 2 has no bytes)
  inert,    // a value that is known and of no use here: a numpy scalar, argparse.Namespace ...
  object,   // what an unknown name would have made: its attributes and items, as a dict's
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  int64_t integer =
      0;  // boolean and integer; global: index into pickle_global(), or kForeignGlobal
  double real = 0;
  std::string_view
      text;  // text, bytes, big_integer (little-endian two's complement): inside the pickle
  std::vector<uint32_t> items{};  // indices of values; a dict's keys and values in turn
};

// What a global name on the allow-list stands for.
enum class GlobalRule : uint8_t {
  ordered_dict,
  dictionary,
  set,
  size,
  tensor_v1,
  tensor_v2,
  tensor_v3,
  parameter,
  storage_type,
  element_type,
  array,
  array_of_buffer,
  array_element,
  encoding,
  inert,
};
inline constexpr int64_t kForeignGlobal = -1;  // a name that is not on the list
struct PickleGlobal {
  std::string module{}, name{};
  GlobalRule rule{};
  std::optional<StoredType> type{};  // of a storage_type or element_type that graft has
};
const PickleGlobal& pickle_global(int64_t index);

struct Pickle {
  std::vector<PickleValue> values{};
  uint32_t root = 0;
  int64_t bytes = 0;  // length of the pickle, to its STOP
  std::vector<std::string>
      foreign;  // names of code that the pickle mentions, "os.system", once each

  const PickleValue& at(uint32_t index) const { return values[index]; }
  // The value of a text key in a dict, the last when repeated; nullptr when absent.
  const PickleValue* find(const PickleValue& dict, std::string_view key) const;
};

// Runs the pickle at the start of `bytes`, which must outlive the result. Nothing but an allow-list
// of opcodes (protocols 2 to 5) is accepted. Global names are never looked up: those on the list
// have rules that build data, what another one is said to make becomes an object of the attributes
// that the pickle gives it. Returns nothing when `bytes` ends before the pickle does.
std::optional<Pickle> parse_pickle(std::span<const std::byte> bytes, const ReadLimits& limits,
                                   MemoryBudget& budget);

}  // namespace graft::io
