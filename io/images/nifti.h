// NIfTI-1 volumes (.nii, .nii.gz): one slice of the first volume as an image; graft's own bounded
// reader.
#pragma once
#include "graft/core/base/export.h"
#include "graft/io/images/image.h"

namespace graft::io {

// A file of a volume, and which of its slices is meant: "brain.nii.gz#12"; -1: the middle one.
struct SlicePath {
  std::string file{};
  int64_t slice = -1;
};
// What stands behind '#' counts only where the name before it ends in .nii or .nii.gz.
GRAFT_API SlicePath slice_path(const std::string& path);

// A header at the beginning, in either byte order, or of what is packed by gzip: as far as `bytes`
// (512 are enough) show it.
GRAFT_API bool is_nifti(std::span<const std::byte> bytes);

// Grey, as stored: rows along the second axis, columns along the first, the slice along the third
// (name: as slice_path() reads it). Integers of 8 to 32 bits and floating point, through slope and
// intercept, then through `window` or else the file's own (cal_min, cal_max), else 8 bits stay and
// others are spread from the lowest to the highest value of the volume; which it was is the remark.
// What is no number is black. Of several volumes the first. bad_input naming `name` for what is
// damaged or of another kind, and for a slice that is not there.
GRAFT_API Image decode_nifti(std::span<const std::byte> bytes, const std::string& name,
                             const GreyWindow& window = {});

// Width and height of a slice, and bytes of the volume unpacked, as the header says; zeros where it
// cannot be read. `bytes`: the file's beginning.
struct NiftiSize {
  int64_t width = 0, height = 0, volume_bytes = 0;
};
GRAFT_API NiftiSize nifti_size(std::span<const std::byte> bytes);

}  // namespace graft::io
