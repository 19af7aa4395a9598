// Pascal VOC's XML, and no other: what labelImg and its like write.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "graft/core/base/error.h"
#include "graft/io/datasets/annotation_text.h"
#include "graft/io/datasets/label_cells.h"

namespace graft::io {
namespace {

constexpr size_t kMostDepth = 16, kMostBoxes = 100000;

std::string without_blanks(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// Tells of each element where it begins and, with its text, where it ends.
class XmlWalk {
 public:
  XmlWalk(const std::string& text, const std::string& name) : text_(text), name_(name) {}

  template <class Begin, class End>
  void run(Begin&& begin, End&& end) {
    bool has_root = false;
    at_ = text_.starts_with("\xef\xbb\xbf") ? 3 : 0;
    while (at_ < text_.size()) {
      const size_t mark = std::min(text_.find('<', at_), text_.size());
      add_text(text_.substr(at_, mark - at_));
      at_ = mark;
      if (at_ == text_.size()) break;
      if (skip("<!--", "-->") || skip("<?", "?>") || take_cdata()) continue;
      if (starts("<!")) refuse("declares a document type or entities, which are not read");
      const size_t close = tag_end();
      if (text_[at_ + 1] == '/') {
        const std::string tag = without_blanks(text_.substr(at_ + 2, close - at_ - 2));
        if (path_.empty() || path_.back() != tag) refuse(str("</", tag, "> closes nothing"));
        end(path_, without_blanks(inner_));
        path_.pop_back();
      } else {
        if (path_.empty() && has_root) refuse("has a second root");
        has_root = true;
        open(close, begin, end);
      }
      inner_.clear();
      at_ = close + 1;
    }
    if (!path_.empty()) refuse(str("ends within <", path_.back(), ">"));
    if (!has_root) refuse("is no XML");
  }

  [[noreturn]] void refuse(const std::string& why) const {
    const auto line =
        std::count(text_.begin(),
                   text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())), '\n');
    bad_input(name_, ": line ", line + 1, ": ", why);
  }

 private:
  bool starts(std::string_view with) const { return text_.compare(at_, with.size(), with) == 0; }

  bool skip(std::string_view begin, std::string_view end) {
    if (!starts(begin)) return false;
    const size_t close = text_.find(end, at_ + begin.size());
    if (close == std::string::npos) refuse(str(begin, " is not closed"));
    at_ = close + end.size();
    return true;
  }

  bool take_cdata() {
    constexpr std::string_view begin = "<![CDATA[";
    if (!starts(begin)) return false;
    const size_t close = text_.find("]]>", at_);
    if (close == std::string::npos) refuse("CDATA is not closed");
    inner_ += text_.substr(at_ + begin.size(), close - at_ - begin.size());
    at_ = close + 3;
    return true;
  }

  // Where the tag's '>' stands; one within an attribute's quotes does not count.
  size_t tag_end() const {
    char quote = 0;
    for (size_t i = at_ + 1; i < text_.size(); ++i) {
      const char c = text_[i];
      if (quote) {
        if (c == quote) quote = 0;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '>') {
        return i;
      } else if (c == '<') {
        break;
      }
    }
    refuse("a tag is not closed");
  }

  template <class Begin, class End>
  void open(size_t close, Begin&& begin, End&& end) {
    std::string tag = text_.substr(at_ + 1, close - at_ - 1);
    const bool is_whole = tag.ends_with('/');
    if (is_whole) tag.pop_back();
    tag = tag.substr(0, tag.find_first_of(" \t\r\n"));
    if (tag.empty()) refuse("a tag has no name");
    if (path_.size() == kMostDepth)
      refuse(str("elements lie more than ", kMostDepth, " deep in each other"));
    path_.push_back(tag);
    begin(path_);
    if (!is_whole) return;
    end(path_, std::string());
    path_.pop_back();
  }

  void add_text(const std::string& raw) {
    for (size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '&') {
        inner_ += raw[i];
        continue;
      }
      const size_t close = std::min(raw.find(';', i), raw.size());
      const std::string entity = raw.substr(i + 1, close - i - 1);
      const char letter = entity == "amp"    ? '&'
                          : entity == "lt"   ? '<'
                          : entity == "gt"   ? '>'
                          : entity == "quot" ? '"'
                          : entity == "apos" ? '\''
                                             : '\0';
      if (letter == '\0' || close == raw.size())
        refuse(str("the entity &", entity.substr(0, 20), "; is not read"));
      inner_ += letter;
      i = close;
    }
  }

  const std::string& text_;
  const std::string& name_;
  size_t at_ = 0;
  std::vector<std::string> path_{};
  std::string inner_{};
};

bool is_at(const std::vector<std::string>& path, std::initializer_list<const char*> wanted) {
  return std::equal(path.begin(), path.end(), wanted.begin(), wanted.end());
}

}  // namespace

AnnotatedFile parse_voc(const std::string& text, const std::string& name) {
  AnnotatedFile file;
  NamedBox object;
  std::array<bool, 4> has{};
  XmlWalk walk(text, name);
  const auto number = [&](const std::string& inner) {
    const std::optional<double> value = number_in(inner);
    if (!value) walk.refuse(str("'", inner.substr(0, 40), "' is no number"));
    return *value;
  };
  const auto begin = [&](const std::vector<std::string>& path) {
    if (path.size() == 1 && path[0] != "annotation")
      walk.refuse(str("<", path[0], "> is not the <annotation> of Pascal VOC"));
    if (!is_at(path, {"annotation", "object"})) return;
    object = {};
    has = {};
  };
  const auto end = [&](const std::vector<std::string>& path, const std::string& inner) {
    if (is_at(path, {"annotation", "size", "width"}) ||
        is_at(path, {"annotation", "size", "height"})) {
      const double side = inner.empty() ? 0 : number(inner);
      if (!(side >= 0 && side < 1e9)) walk.refuse(str("a side of ", inner));
      (path[2] == "width" ? file.stated_width : file.stated_height) = static_cast<int64_t>(side);
    } else if (is_at(path, {"annotation", "object", "name"})) {
      object.name = inner;
    } else if (is_at(path, {"annotation", "object", "difficult"})) {
      object.difficult = inner == "1";
    } else if (path.size() == 4 && path[1] == "object" && path[2] == "bndbox") {
      constexpr std::array<const char*, 4> edges = {"xmin", "ymin", "xmax", "ymax"};
      const std::array<double*, 4> to = {&object.box.left, &object.box.top, &object.box.right,
                                         &object.box.bottom};
      for (size_t k = 0; k < 4; ++k)
        if (path[3] == edges[k]) {
          *to[k] = number(inner);
          has[k] = true;
        }
    } else if (is_at(path, {"annotation", "object"})) {
      if (object.name.empty()) walk.refuse("an object has no name");
      if (std::find(has.begin(), has.end(), false) != has.end())
        walk.refuse(str("the object ", object.name, " has no xmin, ymin, xmax and ymax"));
      if (file.boxes.size() == kMostBoxes) walk.refuse("has too many objects");
      file.boxes.push_back(object);
    }
  };
  walk.run(begin, end);
  return file;
}

}  // namespace graft::io
