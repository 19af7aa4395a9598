// explain(): a picture of what in an image spoke for an answer (Grad-CAM).
#pragma once
#include <string>
#include <vector>

#include "graft/api/image_source.h"
#include "graft/io/input_geometry.h"
#include "graft/models/model_file.h"

namespace graft {

struct ExplainOptions {
  std::string output{};  // the class, label or number that is asked about; "": the likeliest
  // A stage, or the path of a module, whose maps are looked at (train/grad_cam.h); "": the last
  // stage that gives maps.
  std::string at{};
};

struct Explanation {
  io::Image overlay{};  // of the photo's own size, RGB
  Tensor map{};         // f32 [h,w] at `at`: how much each place speaks for the output, at least 0
  int64_t output = 0;   // that was asked about
  std::string name{};   // its name
  float value = 0;      // what the network answers there, as people read it
  std::string at{};     // where
  bool is_empty = false;  // no place speaks for it: the map is 0
};

// The model's network is run in eval mode, without a plan, and left so. bad_input as grad_cam(),
// for an image that cannot be read, and, listing the names, for an output that there is none of.
GRAFT_API Explanation explain(const models::Model& model, const ImageSource& image,
                              const ExplainOptions& options = {});

// The photo in grey with a map f32 [h,w] over it, in colors from blue (nothing) over green and
// yellow to red (the map's largest). geometry: of the photo in the network's input of
// input_height x input_width, over which the map lies (bilinear between the middles of its places);
// what the input does not show has no color.
GRAFT_API io::Image overlaid(const io::Image& photo, const Tensor& map,
                             const io::InputGeometry& geometry, int64_t input_height,
                             int64_t input_width);

}  // namespace graft
