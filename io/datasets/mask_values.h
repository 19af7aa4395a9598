// MaskValues: what the values found in a data set's masks stand for.
#pragma once
#include <array>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "graft/io/datasets/dataset.h"
#include "graft/io/images/mask_image.h"

namespace graft::io {

// Pixels of each value.
using ValueCounts = std::map<uint32_t, int64_t>;

// Names and colors that a file beside the masks gives, in the order of the classes.
struct NamedColor {
  std::string name{};
  int64_t color = -1;  // 0xRRGGBB; -1: not said
};

class GRAFT_API MaskValues {
 public:
  MaskValues() = default;
  // `found`: of all masks together, in one form. 0 and 255 are classes 0 and 1, and so is in every
  // case the order of the values that of the classes; grey levels between 0 and 255 at smoothed
  // edges count as the nearer of both. bad_input naming `path` for more values than classes can be,
  // and options that the values do not fit.
  MaskValues(MaskForm form, const ValueCounts& found, const std::vector<NamedColor>& named,
             const MaskOptions& options, const std::string& path);

  const std::vector<std::string>& names() const { return names_; }  // of the classes
  int64_t classes() const { return static_cast<int64_t>(names_.size()); }
  uint8_t class_of(uint32_t value) const;  // kIgnoredPixel for one that is of no class
  Image map_of(const MaskImage& mask) const;
  std::vector<int64_t> pixels_of(const ValueCounts& counts) const;  // of each class
  // "masks: grey levels 0 and 255 are read as classes 0 and 1", and what else is to be known.
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<std::string>& doubts() const { return doubts_; }

 private:
  void read_smoothed(const ValueCounts& found);
  void give_classes(const std::vector<uint32_t>& values, const std::vector<NamedColor>& named);
  void say(const ValueCounts& found, const std::vector<uint32_t>& values);

  MaskForm form_ = MaskForm::grey;
  std::unordered_map<uint32_t, uint8_t> classes_;
  std::vector<std::string> names_, notes_, doubts_;
};

// As a user writes and reads it: "255", or "#ff0080".
GRAFT_API std::string value_text(MaskForm form, uint32_t value);
// The counts of a mask of another form, by color.
GRAFT_API ValueCounts by_color(const MaskImage& mask, const ValueCounts& counts);

// From class_dict.csv (name,r,g,b), labelmap.txt (name:r,g,b:...) or a list of names (classes.txt,
// codes.txt) in the folder; none: empty.
GRAFT_API std::vector<NamedColor> named_colors(const std::string& folder, std::string& file);

}  // namespace graft::io
