// Dataset: samples (images, or files of another kind) with their answers (a label, several,
// numbers, a map, boxes, a text) by index. And open_data(), which recognises what a path holds.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/io/datasets/boxes.h"
#include "graft/io/datasets/file_kind.h"
#include "graft/io/datasets/image_files.h"
#include "graft/io/images/image.h"
#include "graft/io/images/image_header.h"

namespace graft::io {

class DecodeGate;

// What the samples of a data set are answered by. by_form: what the data's form suggests.
// maps: the class of every pixel; boxes: of each object where it is, and its class; text: what is
// said or written in the sample.
enum class AnswerKind : unsigned char {
  one_label,
  several_labels,
  numbers,
  maps,
  boxes,
  by_form,
  text
};

// In a map: a pixel that counts for nothing.
inline constexpr uint8_t kIgnoredPixel = 255;

struct MapFacts {
  int64_t width = 0, height = 0;  // 0: there is no map
  std::vector<int64_t> pixels{};  // of each class
};

// Samples 0 .. size()-1; graft's own data sets answer other indices with Error(bad_input). Safe to
// read from several threads at once.
class GRAFT_API Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // 0 .. classes-1. Of several labels the first; 0 where there is none.
  virtual int64_t label(int64_t index) const = 0;
  // All of its labels, ascending: label() alone, at first. None where a sample of several has none.
  virtual std::vector<int64_t> labels(int64_t index) const;
  // The numbers that it is answered by, as many for each sample: none, at first.
  virtual std::vector<double> numbers(int64_t index) const;
  // The map that it is answered by, u8 [H,W,1] of the upright image's size: classes and
  // kIgnoredPixel. bad_input naming the file, and where there is none, as at first. labels() are
  // then the classes that it has.
  virtual Image map(int64_t index) const;
  // What is known of the map without reading it.
  virtual MapFacts map_facts(int64_t index) const;
  // The objects that it is answered by; nothing is known, at first. labels() are then the classes
  // of those that count.
  virtual BoxedImage boxes(int64_t index) const;
  // Of a part of an image the number of the image that it is of; index, at first.
  virtual int64_t whole(int64_t index) const;
  // Decodes; Error(bad_input) naming the file, and for samples that are no images.
  virtual Image image(int64_t index) const = 0;
  // Its size and what decoding it takes, without decoding. Zeros, the default: not known.
  virtual ImageHeader header(int64_t index) const;
  virtual int64_t bytes_held()
      const;  // what it keeps in memory, about; 0, the default: next to nothing
  virtual std::string name(int64_t index) const = 0;  // path, or "file[index]"
  // The sample's file as it is, into `bytes`, whose memory is used again. False, the default:
  // it has none of its own.
  virtual bool encoded(int64_t index, std::vector<std::byte>& bytes) const;
  // Whether the sample's file is another one, by size or time of writing, than when the data set
  // was opened. False, the default: not known.
  virtual bool is_changed(int64_t index) const;
  // What it belongs to with others (a patient, a speaker), which no split may part: of a table's
  // column or a pattern in its name. "", the default: not known.
  virtual std::string group(int64_t index) const;
  // Adds what identifies the samples (names, labels, sizes) to a hash.
  virtual std::string fingerprint() const = 0;
  // The text that it is answered by, UTF-8 as clean_text() (texts.h) gives it. bad_input naming the
  // file where there is none, as at first. labels() are then the characters that it has.
  virtual std::string text(int64_t index) const;

 protected:
  // bad_input unless 0 <= index < size().
  void check_index(int64_t index) const;
};

// Of a table: columns by name or by number from 1, "" where graft finds them (label: several with
// commas between them where samples have several answers); the folder that its paths start from,
// "": the table's own.
struct TableColumns {
  std::string image{}, label{}, split{}, root{};
  std::string group{};  // what rows belong to: "": nothing is known of it
  // Of files without a table, regular expressions (ECMAScript) that are searched for in their paths
  // below the data set. Of the first, for a folder alone, group 1 is the label (the whole match
  // where it has no group), and files that it is not found in are left out. Files with the second
  // make the validation part of data that have none.
  std::string label_pattern{}, val_pattern{};
};

// How the values of masks are read: as numbers, or of colors "#ff0080".
struct MaskOptions {
  std::string ignored{};     // the value of pixels that count for nothing; "": all count
  std::string foreground{};  // of two values the one that is looked for; "": the higher
};

struct DataOptions {
  TableColumns columns{};
  MaskOptions masks{};
  AnswerKind answers = AnswerKind::one_label;
  FileKind files{};        // which files are samples: images, at first
  std::string val_path{};  // "": what the data set brings, else a split of the training part
  double val_split =
      0.2;  // share of the training samples held out when there is no validation part; 0: none is
  int64_t folds = 0;  // k-fold: part `fold`, from 1, of `folds` equal ones is held out instead of
  int64_t fold = 1;   // val_split; 0: no folds
  uint64_t seed = 0;  // of the split, the folds and the subset
  int64_t train_limit =
      0;  // 0: all; else this many training samples, drawn by seed, classes kept in proportion
  bool need_train = true;  // false: evaluation only; then the validation part may be all there is,
                           // and its classes count
  int64_t least_classes = 2;  // of the training part; 1 where nothing is learned from them
  // Groups by name (groups.h), where no column says them; "": none. Splits and folds are of whole
  // groups where they are known.
  std::string group_pattern{};
  bool fold_is_group = false;  // fold k is the k-th group by name; folds: how many there are
};

struct OpenedData {
  std::string format{};  // "folder", "idx", "cifar", "csv", "npz", "masks", "boxes", "names",
                         // "texts"
  std::shared_ptr<const Dataset> train{};
  std::shared_ptr<const Dataset> val{};
  std::shared_ptr<const Dataset> test{};  // beside a validation part: never used to choose
  std::string val_name{};                 // the validation part's folder: "val", "Testing"; else ""
  FileKind files{};                       // what the samples are
  AnswerKind answers = AnswerKind::one_label;  // never by_form
  std::string answers_why{};  // with by_form: what in the data's form says so; "": nothing does
  std::vector<std::string> classes{};  // names, as labels count (sorted, or a table's columns); of
                                       // numbers what each is called; of texts their characters
  std::vector<std::string> doubts{};   // sentences: what may not be as it was meant
  std::vector<std::string> notes{};    // sentences: split made, subset drawn, files left out
  PassedOver passed_over{};            // files that are no data
  int64_t bytes_held = 0;              // what the samples of all parts keep in memory
  std::string manifest_sha256{};       // of both parts' fingerprints and the classes
};

// A folder of class folders (with train/ and val/ or test/ inside or not, under the names of
// part_folders.h), a
// folder of MNIST IDX files (plain or .gz), a CIFAR-10/100 binary folder, a table of images and
// labels (.csv .tsv .txt .jsonl), a folder with such a table in it where several labels or numbers
// are asked for, or an .npz with x (u8 [N,H,W] or [N,H,W,C]) and y. Of maps: folders of images and
// of masks (mask_folder.cpp), or a table of such pairs.
// Of texts: folders of files with a .txt beside each (texts.h), a table, or names that say them.
// Of boxes: folders of images and Pascal VOC or YOLO files (box_folder.cpp), COCO's JSON, or a
// table with columns of boxes.
// Error(bad_input) in one sentence for anything else.
GRAFT_API OpenedData open_data(const std::string& path, const DataOptions& options = {});

// Some samples of another data set, in the given order.
GRAFT_API std::shared_ptr<const Dataset> subset(std::shared_ptr<const Dataset> dataset,
                                                std::vector<int64_t> indices);
// The same samples with label l called new_labels[l]; those called -1 are left out.
GRAFT_API std::shared_ptr<const Dataset> relabelled(std::shared_ptr<const Dataset> dataset,
                                                    std::vector<int64_t> new_labels);
// The same samples, each with as many labels as it has: label l called new_labels[l], those called
// -1 forgotten.
GRAFT_API std::shared_ptr<const Dataset> several_relabelled(std::shared_ptr<const Dataset> dataset,
                                                            std::vector<int64_t> new_labels);
// The same samples with class c of their maps called new_classes[c]; those called -1 count for
// nothing.
GRAFT_API std::shared_ptr<const Dataset> maps_relabelled(std::shared_ptr<const Dataset> dataset,
                                                         std::vector<int64_t> new_classes);
// The same samples with label l of their boxes called new_labels[l]; those called -1 are left out.
GRAFT_API std::shared_ptr<const Dataset> boxes_relabelled(std::shared_ptr<const Dataset> dataset,
                                                          std::vector<int64_t> new_labels);
// The share of broken images that graft's verbs tolerate.
inline constexpr double kToleratedBrokenShare = 0.1;

// Decodes every image once; returns the data set without the broken ones, each reported in `notes`
// with its path and reason. Error(bad_input) when more than `tolerated_share` of the images are
// broken. With a gate, decoders keep within it (decode_gate.h).
GRAFT_API std::shared_ptr<const Dataset> without_broken_images(
    std::shared_ptr<const Dataset> dataset, double tolerated_share, std::vector<std::string>& notes,
    DecodeGate* gate = nullptr);

}  // namespace graft::io
