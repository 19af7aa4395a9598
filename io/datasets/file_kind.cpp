#include "graft/io/datasets/file_kind.h"

#include <algorithm>

#include "graft/core/base/file_system.h"
#include "graft/io/images/image.h"

namespace graft::io {

bool FileKind::takes(const std::string& name) const {
  if (is_images()) return has_image_extension(name);
  return std::find(extensions.begin(), extensions.end(), lower_extension(name)) != extensions.end();
}

}  // namespace graft::io
