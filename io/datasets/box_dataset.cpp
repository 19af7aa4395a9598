#include "graft/io/datasets/box_dataset.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/left_out.h"
#include "graft/io/images/upright_size.h"

namespace graft::io {
namespace {

constexpr size_t kBoxFaultsShown = 10;
constexpr double kWritingMargin = 1;  // pixels beyond an edge that a way of counting explains

class BoxDataset final : public Dataset {
 public:
  BoxDataset(const std::vector<AnnotatedFile>& files, std::vector<BoxedImage> boxes)
      : boxes_(std::move(boxes)) {
    std::vector<LabelledFile> images;
    for (const AnnotatedFile& file : files) {
      images.push_back({file.image, file.image_name});
      annotations_.push_back(file.annotation);
      stamps_.push_back(file.annotation.empty() ? FileStamp{}
                                                : file_system().stamp(file.annotation));
    }
    images_ = file_dataset(std::move(images));
  }
  int64_t size() const override { return images_->size(); }
  int64_t label(int64_t index) const override {
    const std::vector<int64_t> all = labels(index);
    return all.empty() ? 0 : all.front();
  }
  std::vector<int64_t> labels(int64_t index) const override {
    check_index(index);
    std::set<int64_t> there;
    for (const LabelledBox& box : boxes_[static_cast<size_t>(index)].boxes)
      if (box.counts()) there.insert(box.label);
    return {there.begin(), there.end()};
  }
  BoxedImage boxes(int64_t index) const override {
    check_index(index);
    return boxes_[static_cast<size_t>(index)];
  }
  Image image(int64_t index) const override { return images_->image(index); }
  ImageHeader header(int64_t index) const override { return images_->header(index); }
  std::string name(int64_t index) const override { return images_->name(index); }
  bool encoded(int64_t index, std::vector<std::byte>& bytes) const override {
    return images_->encoded(index, bytes);
  }
  bool is_changed(int64_t index) const override {
    const auto i = static_cast<size_t>(index);
    return images_->is_changed(index) ||
           (!annotations_[i].empty() && file_system().stamp(annotations_[i]) != stamps_[i]);
  }
  int64_t bytes_held() const override {
    int64_t bytes = images_->bytes_held();
    for (size_t i = 0; i < boxes_.size(); ++i)
      bytes +=
          static_cast<int64_t>(sizeof(BoxedImage) + sizeof(FileStamp) + annotations_[i].size() +
                               boxes_[i].boxes.size() * sizeof(LabelledBox));
    return bytes;
  }
  // Names and sizes of the images, and every box.
  std::string fingerprint() const override {
    Sha256 hash;
    hash.update(images_->fingerprint());
    for (const BoxedImage& image : boxes_) {
      for (const LabelledBox& b : image.boxes)
        hash.update(str(b.label, " ", b.box.left, " ", b.box.top, " ", b.box.right, " ",
                        b.box.bottom, b.difficult ? " difficult" : "", b.crowd ? " crowd" : "",
                        "\n"));
      hash.update("\n");
    }
    return hash.hex();
  }

 private:
  std::vector<BoxedImage> boxes_;
  std::vector<std::string> annotations_;  // paths
  std::vector<FileStamp> stamps_;         // of them, as they were found
  std::shared_ptr<const Dataset> images_;
};

// What is told of all boxes together.
struct BoxRemarks {
  int64_t cut = 0, empty = 0, outside = 0;
  std::string cut_at{}, empty_at{}, outside_at{};  // an example each
};

void count_remark(int64_t& count, std::string& example, const std::string& where) {
  if (count++ == 0) example = where;
}

// False: the box is left out.
bool make_fit(Box& box, const AnnotatedFile& file, int64_t width, int64_t height,
              BoxRemarks& remarks) {
  const auto w = static_cast<double>(width), h = static_cast<double>(height);
  if (file.is_relative) box = {box.left * w, box.top * h, box.right * w, box.bottom * h};
  const bool is_finite = std::isfinite(box.left) && std::isfinite(box.top) &&
                         std::isfinite(box.right) && std::isfinite(box.bottom);
  if (!is_finite || box.width() <= 0 || box.height() <= 0) {
    count_remark(remarks.empty, remarks.empty_at, file.image_name);
    return false;
  }
  const Box inside = clipped(box, w, h);
  if (inside.width() <= 0 || inside.height() <= 0) {
    count_remark(remarks.outside, remarks.outside_at, file.image_name);
    return false;
  }
  if (box.left < -kWritingMargin || box.top < -kWritingMargin || box.right > w + kWritingMargin ||
      box.bottom > h + kWritingMargin)
    count_remark(remarks.cut, remarks.cut_at, file.image_name);
  box = inside;
  return true;
}

void say_remarks(const BoxRemarks& remarks, std::vector<std::string>& notes) {
  const auto say = [&](int64_t count, const std::string& example, const char* one,
                       const char* many) {
    if (count > 0) notes.push_back(str(count, count == 1 ? one : many, ", as in ", example));
  };
  say(remarks.cut, remarks.cut_at, " box reaches beyond its image and is cut at the edge",
      " boxes reach beyond their images and are cut at the edges");
  say(remarks.empty, remarks.empty_at, " box without width or height is left out",
      " boxes without width or height are left out");
  say(remarks.outside, remarks.outside_at, " box outside of its image is left out",
      " boxes outside of their images are left out");
}

// The upright images' sizes, or why one cannot be used.
void measure(AnnotatedFile& file, std::pair<int64_t, int64_t>& size) {
  if (!file.fault.empty()) return;
  try {
    size = upright_size(file.image);
    const auto [width, height] = size;
    if (width == 0) size = {file.stated_width, file.stated_height};
    GRAFT_CHECK(size.first > 0 && size.second > 0, file.image, ": its size cannot be read");
    GRAFT_CHECK(width == 0 || file.stated_width <= 0 || file.stated_height <= 0 ||
                    (width == file.stated_width && height == file.stated_height),
                file.image, ": is of ", width, "x", height, " pixels, its boxes are for ",
                file.stated_width, "x", file.stated_height);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    file.fault = error.what();
  }
}

void leave_out_faults(std::vector<AnnotatedFile>& files,
                      std::vector<std::pair<int64_t, int64_t>>& sizes,
                      std::vector<std::string>& notes) {
  std::vector<std::string> faults;
  for (const AnnotatedFile& file : files) faults.push_back(file.fault);
  const std::vector<int64_t> kept = without_faults(
      faults,
      {"images with boxes cannot be used", "images", kToleratedBrokenShare, kBoxFaultsShown},
      notes);
  keep_only(files, kept);
  keep_only(sizes, kept);
}

}  // namespace

void take_boxes(AnnotatedFiles files, std::vector<std::string> names, const std::string& path,
                DataParts& parts) {
  const std::array<AnnotatedPart*, 3> of = {&files.train, &files.val, &files.test};
  std::array<std::vector<std::pair<int64_t, int64_t>>, 3> sizes;
  std::set<std::string> found;
  for (size_t p = 0; p < 3; ++p) {
    sizes[p].resize(of[p]->files.size());
    current_context().parallel_for(std::ssize(of[p]->files), [&](int64_t i) {
      measure(of[p]->files[static_cast<size_t>(i)], sizes[p][static_cast<size_t>(i)]);
    });
    leave_out_faults(of[p]->files, sizes[p], parts.notes);
    for (const AnnotatedFile& file : of[p]->files)
      for (const NamedBox& box : file.boxes) found.insert(box.name);
  }
  if (names.empty()) names.assign(found.begin(), found.end());
  GRAFT_CHECK(!names.empty(), path, ": its images have no boxes at all");
  std::map<std::string, int64_t> numbers;
  for (size_t c = 0; c < names.size(); ++c) numbers.emplace(names[c], static_cast<int64_t>(c));
  BoxRemarks remarks;
  const std::array<DataPart*, 3> to = {&parts.train, &parts.val, &parts.test};
  for (size_t p = 0; p < 3; ++p) {
    if (of[p]->files.empty()) continue;
    std::vector<BoxedImage> boxed;
    for (size_t i = 0; i < of[p]->files.size(); ++i) {
      const AnnotatedFile& file = of[p]->files[i];
      BoxedImage image{sizes[p][i].first, sizes[p][i].second, {}};
      for (const NamedBox& own : file.boxes) {
        Box box = own.box;
        if (make_fit(box, file, image.width, image.height, remarks))
          image.boxes.push_back({box, numbers.at(own.name), own.difficult, own.crowd, own.area});
      }
      boxed.push_back(std::move(image));
    }
    to[p]->dataset = std::make_shared<BoxDataset>(of[p]->files, std::move(boxed));
    to[p]->classes = names;
    to[p]->name = of[p]->name;
  }
  GRAFT_CHECK(parts.train.dataset || parts.val.dataset || parts.test.dataset, path,
              ": there are no images with boxes");
  say_remarks(remarks, parts.notes);
  parts.answers = AnswerKind::boxes;
}

}  // namespace graft::io
