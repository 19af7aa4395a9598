// ImageSource: an image wherever a program has it: in a file, as a file's bytes, as pixels.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "graft/api/pixels.h"
#include "graft/io/datasets/dataset.h"

namespace graft {

// An image file in memory, with the name that errors give it.
class NamedBytes {
 public:
  NamedBytes(std::span<const std::byte> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}
  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& name() const { return name_; }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
};

// A file's path; an image file's bytes; decoded pixels. Memory that it points to must last as long.
using ImageSource =
    std::variant<std::string, std::span<const std::byte>, NamedBytes, Pixels, io::Image>;

// The sources as samples without answers, so that they enter a network as training's samples do
// (io/input.h). What they point to must outlive it.
GRAFT_API std::shared_ptr<const io::Dataset> dataset_of(std::span<const ImageSource> sources);

}  // namespace graft
