// The images that a table names, whatever else stands in it: for work that needs no labels.
#pragma once
#include "graft/io/datasets/dataset.h"

namespace graft::io {

// Whether the extension is one of a table (.csv .tsv .txt .jsonl .ndjson).
GRAFT_API bool is_table(const std::string& path);

// The paths of its image column (TableColumns::image, else the column that names files), in order,
// those included that are not there. A header is known by what it lacks: a file of its name. Lines
// that name files as a whole are no columns, whatever stands in them.
GRAFT_API std::vector<std::string> read_path_list(const std::string& path,
                                                  const TableColumns& columns = {});

}  // namespace graft::io
