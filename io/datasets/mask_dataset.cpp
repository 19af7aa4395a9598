#include "graft/io/datasets/mask_dataset.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/left_out.h"
#include "graft/io/images/upright_size.h"

namespace graft::io {
namespace {

constexpr size_t kFaultsShown = 10;

// What one look at a mask says.
struct MaskLook {
  std::string fault{};  // why the pair is left out; "": it is not
  int64_t width = 0, height = 0;
  MaskForm form = MaskForm::grey;
  ValueCounts counts{}, colors{};
};

MaskLook look_at_mask(const MaskedFile& pair) {
  MaskLook look;
  try {
    const MaskImage mask = decode_mask(read_file(pair.mask, kMaxImageFileBytes), pair.mask);
    const auto [width, height] = upright_size(pair.image);
    GRAFT_CHECK(width == 0 || (width == mask.width && height == mask.height), pair.mask,
                ": the mask is of ", mask.width, "x", mask.height, " pixels, its image ",
                pair.image_name, " of ", width, "x", height);
    look.width = mask.width;
    look.height = mask.height;
    look.form = mask.form;
    std::vector<uint32_t> sorted = mask.values;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < sorted.size();) {
      const auto next = std::upper_bound(sorted.begin() + static_cast<std::ptrdiff_t>(i),
                                         sorted.end(), sorted[i]);
      const auto end = static_cast<size_t>(next - sorted.begin());
      look.counts[sorted[i]] = static_cast<int64_t>(end - i);
      i = end;
    }
    look.colors = by_color(mask, look.counts);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    look.fault = error.what();
  }
  return look;
}

class MaskDataset final : public Dataset {
 public:
  MaskDataset(std::vector<MaskedFile> files, std::vector<MapFacts> facts,
              std::shared_ptr<const MaskValues> values)
      : files_(std::move(files)), facts_(std::move(facts)), values_(std::move(values)) {
    std::vector<LabelledFile> images;
    for (const MaskedFile& pair : files_) {
      images.push_back({pair.image, pair.image_name});
      stamps_.push_back(file_system().stamp(pair.mask));
    }
    images_ = file_dataset(std::move(images));
  }
  int64_t size() const override { return images_->size(); }
  int64_t label(int64_t index) const override {
    const std::vector<int64_t> all = labels(index);
    return all.empty() ? 0 : all.front();
  }
  std::vector<int64_t> labels(int64_t index) const override {
    std::vector<int64_t> there;
    const std::vector<int64_t> pixels = map_facts(index).pixels;
    for (size_t c = 0; c < pixels.size(); ++c)
      if (pixels[c] > 0) there.push_back(static_cast<int64_t>(c));
    return there;
  }
  Image map(int64_t index) const override {
    check_index(index);
    const std::string& path = files_[static_cast<size_t>(index)].mask;
    const MapFacts& facts = facts_[static_cast<size_t>(index)];
    const Image map = values_->map_of(decode_mask(read_file(path, kMaxImageFileBytes), path));
    GRAFT_CHECK(map.width == facts.width && map.height == facts.height, path,
                ": the mask is of another size than when the data set was opened");
    return map;
  }
  MapFacts map_facts(int64_t index) const override {
    check_index(index);
    return facts_[static_cast<size_t>(index)];
  }
  Image image(int64_t index) const override { return images_->image(index); }
  ImageHeader header(int64_t index) const override { return images_->header(index); }
  std::string name(int64_t index) const override { return images_->name(index); }
  bool encoded(int64_t index, std::vector<std::byte>& bytes) const override {
    return images_->encoded(index, bytes);
  }
  bool is_changed(int64_t index) const override {
    return images_->is_changed(index) ||
           file_system().stamp(files_[static_cast<size_t>(index)].mask) !=
               stamps_[static_cast<size_t>(index)];
  }
  int64_t bytes_held() const override {
    int64_t bytes = images_->bytes_held();
    for (size_t i = 0; i < files_.size(); ++i)
      bytes += static_cast<int64_t>(sizeof(MaskedFile) + sizeof(MapFacts) + sizeof(FileStamp) +
                                    2 * files_[i].mask.size() + 2 * files_[i].image.size() +
                                    facts_[i].pixels.size() * sizeof(int64_t));
    return bytes;
  }
  // Names and sizes of both files, and how many pixels are of each class.
  std::string fingerprint() const override {
    Sha256 hash;
    hash.update(images_->fingerprint());
    for (size_t i = 0; i < files_.size(); ++i)
      hash.update(
          str(files_[i].mask_name, "\t", stamps_[i].size, "\t", join(facts_[i].pixels, " "), "\n"));
    return hash.hex();
  }

 private:
  std::vector<MaskedFile> files_;
  std::vector<MapFacts> facts_;
  std::shared_ptr<const MaskValues> values_;
  std::vector<FileStamp> stamps_;  // of the masks, as they were found
  std::shared_ptr<const Dataset> images_;
};

std::vector<MaskLook> look_at_masks(const std::vector<MaskedFile>& files) {
  std::vector<MaskLook> looks(files.size());
  current_context().parallel_for(std::ssize(files), [&](int64_t i) {
    looks[static_cast<size_t>(i)] = look_at_mask(files[static_cast<size_t>(i)]);
  });
  return looks;
}

// Leaves pairs out whose mask is of no use, and says so.
void keep_usable(std::vector<MaskedFile>& files, std::vector<MaskLook>& looks,
                 std::vector<std::string>& notes) {
  std::vector<std::string> faults;
  for (const MaskLook& look : looks) faults.push_back(look.fault);
  const std::vector<int64_t> kept = without_faults(
      faults, {"masks cannot be used", "masks", kToleratedBrokenShare, kFaultsShown}, notes);
  keep_only(files, kept);
  keep_only(looks, kept);
}

}  // namespace

void read_masks(MaskedFiles files, const std::string& path, const std::string& folder,
                const MaskOptions& options, DataParts& parts) {
  const std::array<MaskedPart*, 3> of = {&files.train, &files.val, &files.test};
  std::array<std::vector<MaskLook>, 3> looks;
  bool is_one_form = true;
  std::optional<MaskForm> form;
  for (size_t p = 0; p < 3; ++p) {
    looks[p] = look_at_masks(of[p]->files);
    keep_usable(of[p]->files, looks[p], parts.notes);
    for (const MaskLook& look : looks[p]) {
      is_one_form = is_one_form && (!form || *form == look.form);
      form = look.form;
    }
  }
  GRAFT_CHECK(form.has_value(), path, ": there are no images with masks");
  if (!is_one_form)
    parts.notes.push_back(
        "masks: some are of grey levels, others of colors or with a palette: all "
        "are read by the colors that they show");
  ValueCounts found;
  for (const auto& of_part : looks)
    for (const MaskLook& look : of_part)
      for (const auto& [value, count] : is_one_form ? look.counts : look.colors)
        found[value] += count;
  std::string names_file;
  const std::vector<NamedColor> named = named_colors(folder, names_file);
  const auto values = std::make_shared<const MaskValues>(is_one_form ? *form : MaskForm::color,
                                                         found, named, options, path);
  if (!names_file.empty()) parts.notes.push_back("names of classes from " + names_file);
  parts.notes.insert(parts.notes.end(), values->notes().begin(), values->notes().end());
  parts.doubts.insert(parts.doubts.end(), values->doubts().begin(), values->doubts().end());
  const std::array<DataPart*, 3> to = {&parts.train, &parts.val, &parts.test};
  for (size_t p = 0; p < 3; ++p) {
    if (of[p]->files.empty()) continue;
    std::vector<MapFacts> facts;
    for (const MaskLook& look : looks[p])
      facts.push_back(
          {look.width, look.height, values->pixels_of(is_one_form ? look.counts : look.colors)});
    to[p]->dataset =
        std::make_shared<MaskDataset>(std::move(of[p]->files), std::move(facts), values);
    to[p]->classes = values->names();
    to[p]->name = of[p]->name;
  }
  parts.answers = AnswerKind::maps;
}

}  // namespace graft::io
