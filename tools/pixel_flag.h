// --max-pixels, the same on every verb that reads images.
#pragma once

namespace CLI {
class App;
}

namespace graft::tools {

// Its value holds from when the command line is read (io::set_image_pixel_limit).
void add_pixel_flag(CLI::App& verb);

}  // namespace graft::tools
