// --resize, --image-size and --window, the same on every verb that has them.
#pragma once
#include <string>

#include "graft/io/preprocess.h"

namespace CLI {
class App;
}

namespace graft::tools {

void add_resize_flag(CLI::App& verb, std::string& resize);
// --window: "" changes nothing, else as io::grey_window() reads it.
void add_window_flag(CLI::App& verb, std::string& window);
void apply_window(io::Preprocess& preprocess, const std::string& window);
// Over the model's own way where the flag was given.
void apply_resize(io::Preprocess& preprocess, const std::string& resize);
// --image-size: "" changes nothing, else as io::image_sides() reads it.
void apply_image_size(io::Preprocess& preprocess, const std::string& sides);

// For answers that are maps: all of an image enters the network, where nothing else was asked for.
void apply_whole(io::Preprocess& preprocess);

}  // namespace graft::tools
