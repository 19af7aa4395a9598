// DataSummary: what a data set was understood to be, for a run's first lines and its files.
#pragma once
#include <string>
#include <vector>

#include "graft/io/datasets/census.h"
#include "graft/io/preprocess.h"

namespace graft::io {

// Of a column of numbers in a part.
struct NumberRange {
  double lowest = 0, mean = 0, highest = 0;
};

struct PartSummary {
  std::string name{};             // "training", "validation", "test"
  std::vector<int64_t> counts{};  // images of each class or label; none of numbers
  std::vector<int64_t> pixels{};  // of maps: pixels of each class
  std::vector<int64_t> boxes{};   // of boxes: those of each class
  int64_t images = 0;
  int64_t groups = 0;                  // that they belong to; 0: not known
  int64_t unlabelled = 0;              // of several labels: images without one
  std::vector<NumberRange> numbers{};  // of each number
};

struct GRAFT_API DataSummary {
  std::string path{}, format{};
  AnswerKind answers = AnswerKind::one_label;
  std::vector<std::string> classes{};  // or labels, or what numbers are called
  std::vector<PartSummary> parts{};    // those that are there
  PassedOver passed_over{};
  std::vector<std::string> doubts{}, notes{};
  std::vector<std::string> groups_across{};  // groups with images in more than one part
  FileKind files{};                          // what the samples are
  std::string input{},
      why_input{};  // of samples that are no images: which input reads them, and why

  // Lines for people: parts, a table of the classes (beyond `most` the first, the smallest and how
  // many), what was passed over, "doubt: ..." and "note: ...".
  std::vector<std::string> lines(size_t most = 20) const;
  std::string to_json() const;
};

// Facts of each part's images, in order; empty for a part that is not there.
struct PartFacts {
  std::vector<ImageFacts> train{}, val{}, test{};
};

// Doubts: a class of one image, more than ten times as many images of one class as of another, the
// same file in two parts or under two labels, images of a few pixels.
GRAFT_API DataSummary summarize(const std::string& path, const OpenedData& data,
                                const PartFacts& facts);

// What the network's preprocessing makes of images of these sizes: sentences where a crop leaves
// out more than a third because of their shapes, or most are enlarged more than four times.
GRAFT_API std::vector<std::string> shape_doubts(const std::vector<ImageFacts>& facts,
                                                const Preprocess& preprocess);

}  // namespace graft::io
