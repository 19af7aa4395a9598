// The image files below a folder; what is passed over is counted by kind, never dropped unsaid.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/io/datasets/file_kind.h"

namespace graft::io {

// Files (and whole folders, their names ending in "/") that are no data, counted by a word:
// ".heic", "hidden", "empty", "Thumbs.db", "__MACOSX/".
struct GRAFT_API PassedOver {
  std::map<std::string, int64_t> counts{};

  void add(const PassedOver& other);
  bool empty() const { return counts.empty(); }
  // "8 .webp, 4 .gif, 3 hidden": the most frequent first.
  std::string to_text() const;
};

struct ImageFile {
  std::string path{};
  std::string short_name{};  // below the folder that was searched
};

// A folder of an operating system or a program (__MACOSX, @eaDir, .ipynb_checkpoints, hidden ones):
// never data.
GRAFT_API bool is_litter_folder(const std::string& name);

// Appends the images below `folder`, its own folders included, sorted by name. An extension tells
// (has_image_extension); files without one are recognised by their first bytes. Hidden files,
// Thumbs.db, desktop.ini, empty files and all other kinds are counted in `passed_over`.
GRAFT_API void find_images(const std::string& folder, const std::string& short_name,
                           std::vector<ImageFile>& images, PassedOver& passed_over);
// The same of another kind of files, by their extensions.
GRAFT_API void find_files(const std::string& folder, const std::string& short_name,
                          const FileKind& kind, std::vector<ImageFile>& files,
                          PassedOver& passed_over);

// Counts what stands in `folder` itself, beside the folders that are read: system folders and every
// file, images as "in no class folder".
GRAFT_API void count_beside_folders(const std::string& folder, PassedOver& passed_over,
                                    const FileKind& kind = {});

}  // namespace graft::io
