// --resize, the same on every verb that reads images.
#pragma once
#include <string>

#include "graft/io/preprocess.h"

namespace CLI {
class App;
}

namespace graft::tools {

void add_resize_flag(CLI::App& verb, std::string& resize);
// Over the model's own way where the flag was given.
// --image-size: "" nothing, else as image_sides() reads it.
void apply_image_size(io::Preprocess& preprocess, const std::string& sides);
void apply_resize(io::Preprocess& preprocess, const std::string& resize);

}  // namespace graft::tools
