// Views of a data set: some of its samples, or the same under other labels.
#include <algorithm>
#include <array>
#include <utility>

#include "graft/core/base/error.h"
#include "graft/core/base/sha256.h"
#include "graft/io/datasets/dataset.h"

namespace graft::io {
namespace {

class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices)
      : whole_(std::move(whole)), indices_(std::move(indices)) {}
  int64_t size() const override { return std::ssize(indices_); }
  int64_t label(int64_t i) const override { return whole_->label(place(i)); }
  std::vector<int64_t> labels(int64_t i) const override { return whole_->labels(place(i)); }
  std::vector<double> numbers(int64_t i) const override { return whole_->numbers(place(i)); }
  Image map(int64_t i) const override { return whole_->map(place(i)); }
  int64_t whole(int64_t i) const override { return whole_->whole(place(i)); }
  MapFacts map_facts(int64_t i) const override { return whole_->map_facts(place(i)); }
  BoxedImage boxes(int64_t i) const override { return whole_->boxes(place(i)); }
  std::string text(int64_t i) const override { return whole_->text(place(i)); }
  Image image(int64_t i) const override { return whole_->image(place(i)); }
  bool encoded(int64_t i, std::vector<std::byte>& bytes) const override {
    return whole_->encoded(place(i), bytes);
  }
  ImageHeader header(int64_t i) const override { return whole_->header(place(i)); }
  std::string name(int64_t i) const override { return whole_->name(place(i)); }
  std::string group(int64_t i) const override { return whole_->group(place(i)); }
  bool is_changed(int64_t i) const override { return whole_->is_changed(place(i)); }
  std::string fingerprint() const override {
    Sha256 hash;
    hash.update(whole_->fingerprint());
    hash.update(std::as_bytes(std::span(indices_)));
    return hash.hex();
  }

 private:
  int64_t place(int64_t i) const {
    check_index(i);
    return indices_[static_cast<size_t>(i)];
  }

  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

class Relabelled : public Dataset {
 public:
  Relabelled(std::shared_ptr<const Dataset> dataset, std::vector<int64_t> labels)
      : dataset_(std::move(dataset)), labels_(std::move(labels)) {}
  int64_t size() const override { return dataset_->size(); }
  int64_t label(int64_t index) const override {
    return labels_.at(static_cast<size_t>(dataset_->label(index)));
  }
  std::vector<double> numbers(int64_t index) const override { return dataset_->numbers(index); }
  Image map(int64_t i) const override { return dataset_->map(i); }
  int64_t whole(int64_t i) const override { return dataset_->whole(i); }
  MapFacts map_facts(int64_t i) const override { return dataset_->map_facts(i); }
  BoxedImage boxes(int64_t i) const override { return dataset_->boxes(i); }
  std::string text(int64_t i) const override { return dataset_->text(i); }
  Image image(int64_t index) const override { return dataset_->image(index); }
  bool encoded(int64_t index, std::vector<std::byte>& bytes) const override {
    return dataset_->encoded(index, bytes);
  }
  ImageHeader header(int64_t index) const override { return dataset_->header(index); }
  std::string name(int64_t index) const override { return dataset_->name(index); }
  std::string group(int64_t index) const override { return dataset_->group(index); }
  bool is_changed(int64_t index) const override { return dataset_->is_changed(index); }
  std::string fingerprint() const override {
    Sha256 hash;
    hash.update(dataset_->fingerprint());
    hash.update(std::as_bytes(std::span(labels_)));
    return hash.hex();
  }

 protected:
  std::vector<int64_t> several_at(int64_t index) const {
    std::vector<int64_t> called;
    for (const int64_t label : dataset_->labels(index))
      if (const int64_t other = labels_.at(static_cast<size_t>(label)); other >= 0)
        called.push_back(other);
    std::sort(called.begin(), called.end());
    return called;
  }

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::vector<int64_t> labels_;
};

// Labels and maps alike.
class MapsRelabelled final : public Relabelled {
 public:
  MapsRelabelled(std::shared_ptr<const Dataset> dataset, const std::vector<int64_t>& classes)
      : Relabelled(dataset, classes), maps_(std::move(dataset)) {
    for (int64_t known = 0; known < 256; ++known) {
      const int64_t called = known < std::ssize(classes) ? classes[static_cast<size_t>(known)] : -1;
      table_[static_cast<size_t>(known)] =
          called < 0 ? kIgnoredPixel : static_cast<uint8_t>(called);
    }
  }
  int64_t label(int64_t index) const override {
    const std::vector<int64_t> all = labels(index);
    return all.empty() ? 0 : all.front();
  }
  std::vector<int64_t> labels(int64_t index) const override { return several_at(index); }
  Image map(int64_t index) const override {
    Image map = maps_->map(index);
    uint8_t* pixel = map.pixels.mutable_data<uint8_t>();
    for (int64_t i = 0; i < map.pixels.numel(); ++i) pixel[i] = table_[pixel[i]];
    return map;
  }
  MapFacts map_facts(int64_t index) const override {
    MapFacts facts = maps_->map_facts(index);
    const std::vector<int64_t> before = std::exchange(facts.pixels, {});
    for (size_t c = 0; c < before.size(); ++c) {
      const size_t called = table_[c];
      if (called == kIgnoredPixel) continue;
      if (facts.pixels.size() <= called) facts.pixels.resize(called + 1);
      facts.pixels[called] += before[c];
    }
    return facts;
  }

 private:
  std::shared_ptr<const Dataset> maps_;
  std::array<uint8_t, 256> table_{};
};

class SeveralRelabelled : public Relabelled {
 public:
  using Relabelled::Relabelled;
  int64_t label(int64_t index) const override {
    const std::vector<int64_t> all = labels(index);
    return all.empty() ? 0 : all.front();
  }
  std::vector<int64_t> labels(int64_t index) const override { return several_at(index); }
};

// Labels and boxes alike.
class BoxesRelabelled final : public SeveralRelabelled {
 public:
  BoxesRelabelled(const std::shared_ptr<const Dataset>& dataset, std::vector<int64_t> labels)
      : SeveralRelabelled(dataset, labels), boxes_(dataset), called_(std::move(labels)) {}
  BoxedImage boxes(int64_t index) const override {
    BoxedImage image = boxes_->boxes(index);
    for (LabelledBox& box : image.boxes) box.label = called_.at(static_cast<size_t>(box.label));
    std::erase_if(image.boxes, [](const LabelledBox& box) { return box.label < 0; });
    return image;
  }

 private:
  std::shared_ptr<const Dataset> boxes_;
  std::vector<int64_t> called_;
};

}  // namespace

std::vector<int64_t> Dataset::labels(int64_t index) const { return {label(index)}; }
std::vector<double> Dataset::numbers(int64_t) const { return {}; }
MapFacts Dataset::map_facts(int64_t) const { return {}; }
BoxedImage Dataset::boxes(int64_t) const { return {}; }
std::string Dataset::group(int64_t) const { return ""; }
int64_t Dataset::whole(int64_t index) const { return index; }
Image Dataset::map(int64_t index) const { bad_input(name(index), ": has no mask"); }
std::string Dataset::text(int64_t index) const { bad_input(name(index), ": has no text"); }

void Dataset::check_index(int64_t index) const {
  GRAFT_CHECK(index >= 0 && index < size(), "sample ", index, " of a data set of ", size());
}

ImageHeader Dataset::header(int64_t) const { return {}; }
int64_t Dataset::bytes_held() const { return 0; }
bool Dataset::encoded(int64_t, std::vector<std::byte>&) const { return false; }
bool Dataset::is_changed(int64_t) const { return false; }

std::shared_ptr<const Dataset> subset(std::shared_ptr<const Dataset> dataset,
                                      std::vector<int64_t> indices) {
  for (const int64_t i : indices)
    GRAFT_CHECK(i >= 0 && i < dataset->size(), "sample ", i, " of ", dataset->size());
  return std::make_shared<Subset>(std::move(dataset), std::move(indices));
}

std::shared_ptr<const Dataset> relabelled(std::shared_ptr<const Dataset> dataset,
                                          std::vector<int64_t> new_labels) {
  bool is_same = true;
  for (size_t label = 0; label < new_labels.size(); ++label)
    is_same = is_same && new_labels[label] == static_cast<int64_t>(label);
  if (is_same) return dataset;
  if (std::find(new_labels.begin(), new_labels.end(), -1) != new_labels.end()) {
    std::vector<int64_t> kept;
    for (int64_t i = 0; i < dataset->size(); ++i)
      if (new_labels.at(static_cast<size_t>(dataset->label(i))) >= 0) kept.push_back(i);
    dataset = subset(std::move(dataset), std::move(kept));
  }
  return std::make_shared<Relabelled>(std::move(dataset), std::move(new_labels));
}

std::shared_ptr<const Dataset> several_relabelled(std::shared_ptr<const Dataset> dataset,
                                                  std::vector<int64_t> new_labels) {
  bool is_same = true;
  for (size_t label = 0; label < new_labels.size(); ++label)
    is_same = is_same && new_labels[label] == static_cast<int64_t>(label);
  if (is_same) return dataset;
  return std::make_shared<SeveralRelabelled>(std::move(dataset), std::move(new_labels));
}

std::shared_ptr<const Dataset> maps_relabelled(std::shared_ptr<const Dataset> dataset,
                                               std::vector<int64_t> new_classes) {
  bool is_same = true;
  for (size_t c = 0; c < new_classes.size(); ++c)
    is_same = is_same && new_classes[c] == static_cast<int64_t>(c);
  if (is_same) return dataset;
  return std::make_shared<MapsRelabelled>(std::move(dataset), std::move(new_classes));
}

std::shared_ptr<const Dataset> boxes_relabelled(std::shared_ptr<const Dataset> dataset,
                                                std::vector<int64_t> new_labels) {
  bool is_same = true;
  for (size_t c = 0; c < new_labels.size(); ++c)
    is_same = is_same && new_labels[c] == static_cast<int64_t>(c);
  if (is_same) return dataset;
  return std::make_shared<BoxesRelabelled>(dataset, std::move(new_labels));
}

}  // namespace graft::io
