// Files that attack a reader, each with how it is made and the words of the sentence that must
// refuse it. Used on the readers and through the command.
#pragma once
#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace graft {

enum class HostileKind { weights, graph, image, data, model, description };

struct HostileFile {
  std::string name;  // of the test
  std::string path;  // in a folder of its own; the extension is what a user would see
  HostileKind kind = HostileKind::weights;
  std::function<std::string()> content;  // nothing: `prepare` makes the file
  std::vector<std::string> words;        // of the sentence
  std::function<void(const std::string& folder)> prepare =
      nullptr;  // makes what stands beside the file
};

inline void PrintTo(const HostileFile& file, std::ostream* out) { *out << file.name; }

std::vector<HostileFile> hostile_archives();      // zip, NPZ, NPY
std::vector<HostileFile> hostile_weights();       // safetensors, pickle
std::vector<HostileFile> hostile_graphs();        // ONNX
std::vector<HostileFile> hostile_samples();       // images, data sets, cards
std::vector<HostileFile> hostile_descriptions();  // Keras models
std::vector<HostileFile> hostile_files();         // all of them

// Makes the file below `folder` and returns its path.
std::string make_hostile_file(const HostileFile& file, const std::string& folder);

}  // namespace graft
