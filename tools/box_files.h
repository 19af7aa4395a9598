// Found boxes as other programs read them: COCO's results in one JSON file, YOLO's lines in a text
// file for each image.
#pragma once
#include <map>
#include <string>

#include "graft/api/predictor.h"

namespace graft::tools {

class BoxFiles {
 public:
  // coco: a file, yolo: a folder; "": that form is not written. Error(bad_input) for a model that
  // finds no objects; proves that they can be written.
  BoxFiles(const Predictor& predictor, std::string coco, std::string yolo);

  // An image's answer. width and height: of the upright image, in pixels.
  void add(const std::string& image, const Answer& answer, int64_t width, int64_t height);
  void write() const;

 private:
  void add_coco(const std::string& stem, const Answer& answer);
  void add_yolo(const std::string& stem, const Answer& answer, int64_t width, int64_t height);

  const Predictor& predictor_;
  std::string coco_, yolo_, rows_{};
  std::map<std::string, int64_t> written_{};  // by the image's name
};

}  // namespace graft::tools
