// PyTorch's export archives (.pt2, torch.export.save) as plain data: the graph of ATen operators
// and its tensors. Field names follow torch/_export/serde/schema.py.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/core/base/file_system.h"
#include "graft/core/tensor/state_dict.h"
#include "graft/io/weights/limits.h"

namespace graft::io {

// TensorMeta of a value of the graph.
struct ExportedMeta {
  int64_t type = 0;              // ScalarType's code: 7 is float32
  std::vector<int64_t> sizes{};  // -1: an expression over free sizes
  std::vector<int64_t> strides{};
  int64_t offset = 0;  // in elements, of the storage

  GRAFT_API int free_axis() const;  // the one axis of size -1; -1: none, or several
  GRAFT_API int64_t free_axes() const;
};

enum class ExportedKind : unsigned char {
  none,
  tensor,    // texts[0] is its name
  tensors,   // texts are their names, "" for none
  integer,   // integers[0]; bool, ScalarType, MemoryFormat and Layout too
  integers,  // a list; an entry with a name in texts[i] is that symbol
  real,
  reals,
  symbol,  // a computed size: texts[0]
  text,
  other,  // what graft has no use for; texts[0] is its kind: "as_graph"
};

struct ExportedArgument {
  std::string name{};
  ExportedKind kind = ExportedKind::none;
  std::string form{};  // "as_bool": how the file writes it
  std::vector<std::string> texts{};
  std::vector<int64_t> integers{};
  std::vector<double> reals{};
};

struct ExportedNode {
  std::string target{};  // "torch.ops.aten.conv2d.default"
  std::string name{};    // "conv2d_3"
  std::string module{};  // "layer1.0.conv1": the innermost module whose code it came from
  std::vector<ExportedArgument> inputs{};
  std::vector<std::string> outputs{};  // names of values, "" for none
};

enum class ExportedRole : unsigned char { parameter, buffer, constant, user };

struct ExportedInput {
  std::string name{};  // of the value in the graph
  ExportedRole role = ExportedRole::user;
  std::string target{};  // of a stored tensor: its name in the state dict
};

struct ExportedProgram {
  std::string path{};
  int64_t schema_major = 0, schema_minor = 0;
  std::string torch_version{};
  std::vector<ExportedInput> inputs{};  // in the graph's order
  std::vector<std::string> outputs{};   // what the user gets; "" for what is no tensor
  std::vector<ExportedNode> nodes{};
  std::map<std::string, ExportedMeta> values{};
  std::vector<std::string> mutated{};  // buffers that the program changes as it runs
  StateDict tensors{};                 // parameters, buffers and constants by their own names
  std::vector<std::string> notes{};
};

// The schema's versions that are read: one major, minors up to the one that was tried.
inline constexpr int64_t kExportSchemaMajor = 8, kExportSchemaMinor = 17;

// A file that torch.export.save wrote (the layout of 2.8 and later, and that of 2.1 to 2.7); no
// code in it is run. bad_input naming the path for all else, and for damaged or hostile files.
GRAFT_API ExportedProgram read_exported_program(const std::string& path,
                                                const ReadLimits& limits = {});
GRAFT_API ExportedProgram read_exported_program(File& file, const ReadLimits& limits = {});
// The graph alone, from its JSON (ExportedProgram of the schema): everything but tensors.
GRAFT_API ExportedProgram parse_exported_program(std::string_view json,
                                                 const ReadLimits& limits = {});

}  // namespace graft::io
