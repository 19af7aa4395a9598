#include "graft/tools/sample_arguments.h"

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft::tools {
namespace {

bool is_table_of_texts(const std::string& path) {
  return io::is_table(path) && lower_extension(path) != ".txt" && !file_system().is_directory(path);
}

}  // namespace

SampleArguments::SampleArguments(const std::vector<std::string>& given,
                                 const io::TableColumns& columns, const io::FileKind& kind) {
  if (!kind.is_texts()) {
    names_ = collect_samples(given, columns, kind);
    texts_.resize(names_.size());
    input_.emplace(names_);
    return;
  }
  const auto add = [&](std::vector<io::NamedText> texts) {
    for (io::NamedText& text : texts) {
      names_.push_back(text.name);
      texts_.emplace_back(std::move(text));
    }
  };
  for (const std::string& path : given) {
    if (path == "-") {
      const std::vector<std::byte> bytes = read_standard_input();
      add(io::lines_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                       "standard input"));
    } else if (is_table_of_texts(path)) {
      add(io::texts_of_table(path, columns.image));
    } else if (file_system().is_directory(path)) {
      for (const std::string& file : collect_samples({path}, columns, kind)) {
        names_.push_back(file);
        texts_.emplace_back();
      }
    } else {
      names_.push_back(path);
      texts_.emplace_back();
    }
  }
  GRAFT_CHECK(!names_.empty(), join(given), ": there are no ", kind.many);
}

ImageSource SampleArguments::source(size_t i) const {
  if (const auto& text = texts_[i])
    return NamedBytes(std::as_bytes(std::span(text->text)), text->name);
  return input_ ? input_->source(names_[i]) : ImageSource(names_[i]);
}

}  // namespace graft::tools
