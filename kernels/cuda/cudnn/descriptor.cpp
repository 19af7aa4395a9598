#include "graft/kernels/cuda/cudnn/descriptor.h"

#include <array>

namespace graft::cudnn {

std::string words_of(const api::Library& library, api::Result result) {
  std::array<char, 512> last{};
  library.last_error(last.data(), last.size() - 1);
  const std::string text = library.error_text(result);
  return last[0] ? str(text, " (", last.data(), ")") : text;
}

void Descriptor::check(api::Result result, const char* what) const {
  if (result != api::Result::success) throw Refused{str(what, ": ", words_of(*library_, result))};
}

void Descriptor::get_descriptors(api::Name name, std::vector<Descriptor>& result) const {
  std::vector<api::Descriptor> ids;
  for (const Descriptor& descriptor : result) ids.push_back(descriptor.id());
  int64_t count = 0;
  check(library_->get(id_, name, api::Type::descriptor, static_cast<int64_t>(ids.size()), &count,
                      ids.data()),
        "reading descriptors");
  const auto there = std::min(result.size(), static_cast<size_t>(std::max<int64_t>(count, 0)));
  result.erase(result.begin() + static_cast<std::ptrdiff_t>(there), result.end());
}

}  // namespace graft::cudnn
