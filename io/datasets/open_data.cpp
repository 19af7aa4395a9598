// Recognises what a path holds, and makes the validation part, the subset and the checks that all
// formats share.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/core/runtime/random.h"
#include "graft/io/datasets/box_sources.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/groups.h"
#include "graft/io/datasets/mask_sources.h"
#include "graft/io/datasets/part_folders.h"
#include "graft/io/datasets/path_list.h"
#include "graft/io/datasets/sources.h"
#include "graft/io/datasets/texts.h"
#include "graft/io/datasets/utf8_names.h"

namespace graft::io {
namespace {

struct Named {
  std::string format;
  DataParts parts;
};

// The table in a folder of images: one called labels, or the only one; "" when there is none.
std::string table_within(const std::string& folder) {
  std::vector<std::string> tables;
  for (const DirectoryEntry& entry : file_system().list(folder)) {
    if (!is_table(entry.name) || entry.name[0] == '.') continue;
    if (entry.name.starts_with("labels.")) return join_path(folder, entry.name);
    tables.push_back(join_path(folder, entry.name));
  }
  return tables.size() == 1 ? tables[0] : "";
}

// Images with masks, where they are asked for or the data have that form.
std::optional<Named> read_maps(const std::string& path, const PartsWanted& wanted,
                               const TableColumns& columns, const MaskOptions& masks) {
  const bool is_asked_for = wanted.answers == AnswerKind::maps;
  if (!is_asked_for && wanted.answers != AnswerKind::by_form) return std::nullopt;
  const bool is_folder = file_system().is_directory(path);
  if (!is_folder && !is_table(path)) {
    GRAFT_CHECK(!is_asked_for, path,
                ": a folder of images and masks, or a table of such pairs, is needed");
    return std::nullopt;
  }
  const std::string why = is_folder ? why_masks(path) : why_mask_table(path, columns);
  if (why.empty() && !is_asked_for) return std::nullopt;
  Named named{"masks", is_folder ? read_mask_folder(path, wanted, masks)
                                 : read_mask_table(path, columns, wanted, masks)};
  if (!is_asked_for) named.parts.answers_why = why;
  return named;
}

// Images with boxes, likewise.
std::optional<Named> read_boxes(const std::string& path, const PartsWanted& wanted,
                                const TableColumns& columns) {
  const bool is_asked_for = wanted.answers == AnswerKind::boxes;
  if (!is_asked_for && wanted.answers != AnswerKind::by_form) return std::nullopt;
  const std::string why = why_boxes(path);
  if (why.empty() && !is_asked_for) return std::nullopt;
  Named named{"boxes", read_box_data(path, wanted, columns)};
  if (!is_asked_for) named.parts.answers_why = why;
  return named;
}

// Files with a text each, where they are asked for or sounds have that form (of images .txt may be
// boxes).
std::optional<Named> read_texts(const std::string& path, const PartsWanted& wanted,
                                const TableColumns& columns) {
  const bool is_asked_for = wanted.answers == AnswerKind::text;
  const bool may_be = wanted.answers == AnswerKind::by_form && !wanted.files.is_images();
  if (!is_asked_for && !may_be) return std::nullopt;
  if (!file_system().is_directory(path)) {
    if (!is_asked_for) return std::nullopt;
    GRAFT_CHECK(is_table(path), path, ": a folder of ", wanted.files.many,
                " and texts, or a table of them, is needed");
    return Named{"csv", read_table(path, columns, wanted)};
  }
  const std::string why = why_texts(path, wanted.files);
  if (const std::string table = is_asked_for && why.empty() ? table_within(path) : "";
      !table.empty()) {
    Named named{"csv", read_table(table, columns, wanted)};
    named.parts.notes.insert(named.parts.notes.begin(), "texts of the folder from " + table);
    return named;
  }
  if (why.empty() && !is_asked_for) return std::nullopt;
  Named named{"texts", read_text_folder(path, wanted)};
  if (!is_asked_for) named.parts.answers_why = why;
  return named;
}

// Files that are no images: class folders, names that say the labels, or a table.
Named read_other_files(const std::string& path, const PartsWanted& wanted,
                       const DataOptions& options) {
  const std::string& many = wanted.files.many;
  GRAFT_CHECK(wanted.answers != AnswerKind::maps && wanted.answers != AnswerKind::boxes, path, ": ",
              many, " have no places for masks or boxes");
  if (!file_system().is_directory(path)) {
    GRAFT_CHECK(is_table(path), path, ": not a data set of ", many,
                ": a folder or a .csv, .tsv or .jsonl table is needed");
    return {"csv", read_table(path, options.columns, wanted)};
  }
  if (wanted.answers == AnswerKind::several_labels || wanted.answers == AnswerKind::numbers)
    if (const std::string table = table_within(path); !table.empty()) {
      Named named{"csv", read_table(table, options.columns, wanted)};
      named.parts.notes.insert(named.parts.notes.begin(), "labels of the folder from " + table);
      return named;
    }
  return {"folder", read_folder(path, wanted)};
}

Named read_any(const std::string& path, const PartsWanted& wanted, const DataOptions& options) {
  const TableColumns& columns = options.columns;
  GRAFT_CHECK(file_system().exists(path), path, ": there is no such file or folder");
  if (!options.columns.label_pattern.empty()) {
    GRAFT_CHECK(file_system().is_directory(path), path,
                ": --label-pattern is for a folder of files whose names say their labels");
    return {"names", read_named_files(path, options.columns.label_pattern, wanted)};
  }
  if (auto texts = read_texts(path, wanted, columns)) return std::move(*texts);
  if (!wanted.files.is_images()) return read_other_files(path, wanted, options);
  if (auto maps = read_maps(path, wanted, columns, options.masks)) return std::move(*maps);
  if (auto boxes = read_boxes(path, wanted, columns)) return std::move(*boxes);
  if (!file_system().is_directory(path)) {
    if (is_table(path)) return {"csv", read_table(path, columns, wanted)};
    if (lower_extension(path) == ".npz") return {"npz", {.train = read_npz_data(path)}};
    bad_input(path,
              ": not a data set: a folder, a .csv, .tsv or .jsonl table or an .npz is needed");
  }
  if (wanted.answers == AnswerKind::several_labels || wanted.answers == AnswerKind::numbers)
    if (const std::string table = table_within(path); !table.empty()) {
      Named named{"csv", read_table(table, columns, wanted)};
      named.parts.notes.insert(named.parts.notes.begin(), "labels of the folder from " + table);
      return named;
    }
  if (is_idx_folder(path)) return {"idx", read_idx(path)};
  if (is_cifar_folder(path)) return {"cifar", read_cifar(path)};
  return {"folder", read_folder(path, wanted)};
}

// Which samples are alike where some are drawn: those of a class; of several labels those whose
// rarest label is the same (a group more for those without one); of numbers and texts all.
std::vector<std::vector<int64_t>> groups_of(const OpenedData& data) {
  const Dataset& dataset = *data.train;
  const size_t classes = data.classes.size();
  if (data.answers == AnswerKind::numbers || data.answers == AnswerKind::text) {
    std::vector<int64_t> all(static_cast<size_t>(dataset.size()));
    std::iota(all.begin(), all.end(), 0);
    return {std::move(all)};
  }
  std::vector<std::vector<int64_t>> groups(classes);
  if (data.answers == AnswerKind::one_label) {
    for (int64_t i = 0; i < dataset.size(); ++i)
      groups[static_cast<size_t>(dataset.label(i))].push_back(i);
    return groups;
  }
  std::vector<int64_t> counts(classes);
  for (int64_t i = 0; i < dataset.size(); ++i)
    for (const int64_t label : dataset.labels(i)) ++counts.at(static_cast<size_t>(label));
  groups.emplace_back();
  for (int64_t i = 0; i < dataset.size(); ++i) {
    size_t rarest = classes;
    for (const int64_t label : dataset.labels(i))
      if (const auto c = static_cast<size_t>(label);
          rarest == classes || counts[c] < counts[rarest])
        rarest = c;
    groups[rarest].push_back(i);
  }
  return groups;
}

const char* how_drawn(AnswerKind answers) {
  if (answers == AnswerKind::numbers || answers == AnswerKind::text) return "drawn";
  if (answers == AnswerKind::maps || answers == AnswerKind::boxes)
    return "drawn by each one's rarest class";
  return answers == AnswerKind::one_label ? "drawn by class" : "drawn by each one's rarest label";
}

// The indices of each group, shuffled by seed.
std::vector<std::vector<int64_t>> shuffled_groups(const OpenedData& data, uint64_t seed) {
  std::vector<std::vector<int64_t>> groups = groups_of(data);
  for (size_t c = 0; c < groups.size(); ++c) {
    CountedRandom random(seed, RandomPurpose::split, 0, c);
    std::vector<int64_t> ordered;
    for (const int64_t i : random_permutation(std::ssize(groups[c]), random))
      ordered.push_back(groups[c][static_cast<size_t>(i)]);
    groups[c] = std::move(ordered);
  }
  return groups;
}

// Draws about `share` of every group; at least one and never all of a group of two or more.
std::vector<int64_t> stratified(const OpenedData& data, double share, uint64_t seed) {
  std::vector<int64_t> drawn;
  for (const auto& group : shuffled_groups(data, seed)) {
    const auto size = std::ssize(group);
    const auto wanted = static_cast<int64_t>(std::llround(share * static_cast<double>(size)));
    const int64_t count = size < 2 ? 0 : std::clamp<int64_t>(wanted, 1, size - 1);
    drawn.insert(drawn.end(), group.begin(), group.begin() + count);
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

// One of `folds` parts that differ by at most a sample in size, and by at most one of each group; a
// sample without its like is in none.
std::vector<int64_t> one_fold(const OpenedData& data, const std::string& path,
                              const DataOptions& options) {
  std::vector<int64_t> held;
  int64_t dealt = 0;
  for (const auto& group : shuffled_groups(data, options.seed)) {
    if (group.size() < 2) continue;
    for (const int64_t i : group)
      if (dealt++ % options.folds == options.fold - 1) held.push_back(i);
  }
  GRAFT_CHECK(dealt >= options.folds, path, ": of ", data.train->size(), " samples ", dealt,
              " have another of their class, which make no ", options.folds, " folds");
  std::sort(held.begin(), held.end());
  return held;
}

void check_folds(const OpenedData& data, const std::string& path, const DataOptions& options) {
  GRAFT_CHECK(options.folds >= 2 && options.fold >= 1 && options.fold <= options.folds, path,
              ": fold ", options.fold, " of ", options.folds, " is none");
  GRAFT_CHECK(!data.val, path,
              ": has a validation part; folds are parts of the training images, for data "
              "without one");
}

// What a part has none of because whole groups were held out.
void say_absent(OpenedData& data) {
  if (data.answers == AnswerKind::numbers || data.answers == AnswerKind::text) return;
  for (const auto& [part, what] : {std::pair(data.train, "no training image is left of "),
                                   std::pair(data.val, "no image is held out of ")}) {
    std::vector<bool> is_there(data.classes.size());
    for (int64_t i = 0; i < part->size(); ++i)
      for (const int64_t label : part->labels(i)) is_there.at(static_cast<size_t>(label)) = true;
    std::vector<std::string> absent;
    for (size_t c = 0; c < is_there.size(); ++c)
      if (!is_there[c]) absent.push_back(data.classes[c]);
    if (!absent.empty())
      data.doubts.push_back(str(what, short_list(absent), ": whole groups are held out"));
  }
}

void split(OpenedData& data, const std::string& path, const DataOptions& options) {
  GRAFT_CHECK(options.val_split > 0 && options.val_split < 1, path, ": a validation split of ",
              options.val_split, " is not between 0 and 1");
  const bool has_groups = !data.train->group(0).empty();
  std::string whole_groups;
  const auto held = has_groups
                        ? held_groups(*data.train, groups_of(data), options, path, whole_groups)
                    : options.folds > 0 ? one_fold(data, path, options)
                                        : stratified(data, options.val_split, options.seed);
  GRAFT_CHECK(!held.empty(), path,
              ": the data set is too small to hold out a validation part; give --val");
  std::vector<int64_t> rest;
  for (int64_t i = 0; i < data.train->size(); ++i)
    if (!std::binary_search(held.begin(), held.end(), i)) rest.push_back(i);
  data.val = subset(data.train, held);
  data.train = subset(data.train, rest);
  const std::string fold =
      options.folds > 0 ? str("fold ", options.fold, " of ", options.folds) : "no validation part";
  const std::string how = options.fold_is_group
                              ? whole_groups
                              : str(whole_groups, has_groups ? " " : "", how_drawn(data.answers),
                                    " with seed ", options.seed);
  data.notes.push_back(str(fold, ": ", held.size(), " of ", held.size() + rest.size(),
                           " samples are held out, ", how));
  if (has_groups) say_absent(data);
}

// Exactly `limit` samples: group shares by largest remainder would need a rule; taking every
// group's front in turn keeps them within one sample of proportion.
void limit(OpenedData& data, const DataOptions& options) {
  const int64_t total = data.train->size();
  if (options.train_limit <= 0 || options.train_limit >= total) return;
  std::vector<std::pair<double, int64_t>> ranked;  // position within the group, as a share of it
  for (const auto& group : shuffled_groups(data, options.seed))
    for (size_t i = 0; i < group.size(); ++i)
      ranked.emplace_back((static_cast<double>(i) + 0.5) / static_cast<double>(group.size()),
                          group[i]);
  std::sort(ranked.begin(), ranked.end());
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < options.train_limit; ++i)
    kept.push_back(ranked[static_cast<size_t>(i)].second);
  std::sort(kept.begin(), kept.end());
  data.train = subset(data.train, kept);
  data.notes.push_back(str(options.train_limit, " of ", total, " training samples, ",
                           how_drawn(data.answers), " with seed ", options.seed));
}

// --val: that path's own validation part, else all of it.
void take_validation(DataParts& parts, const DataOptions& options, OpenedData& data) {
  DataParts other =
      read_any(options.val_path,
               {.need_train = false, .answers = data.answers, .files = data.files}, options)
          .parts;
  parts.val = other.val.dataset ? other.val : other.train.dataset ? other.train : other.test;
  data.notes.insert(data.notes.end(), other.notes.begin(), other.notes.end());
  data.passed_over.add(other.passed_over);
}

// Characters that no training text has cannot be learned: they are said, and count as mistakes.
std::shared_ptr<const Dataset> matched_texts(const DataPart& part, const DataPart& train,
                                             const std::string& which, OpenedData& data) {
  std::vector<int64_t> labels;
  std::vector<std::string> unknown;
  for (const std::string& character : part.classes) {
    const auto at = std::find(train.classes.begin(), train.classes.end(), character);
    labels.push_back(at == train.classes.end() ? -1 : at - train.classes.begin());
    if (labels.back() < 0) unknown.push_back(character);
  }
  if (!unknown.empty())
    data.doubts.push_back(str(which, " has characters that no training text has: ",
                              short_list(unknown), "; they cannot be answered"));
  return several_relabelled(part.dataset, labels);
}

// A validation or test part with its labels counted as the training part's classes are, by name.
std::shared_ptr<const Dataset> matched_part(const DataPart& part, const DataPart& train,
                                            const std::string& path, OpenedData& data) {
  if (!part.dataset || !train.dataset) return part.dataset;
  const std::string which = part.name.empty() ? "the validation part" : part.name + "/";
  if (data.answers == AnswerKind::numbers) {
    GRAFT_CHECK(part.classes == train.classes, path, ": ", which, " has the numbers ",
                short_list(part.classes), ", the training part ", short_list(train.classes));
    return part.dataset;
  }
  if (data.answers == AnswerKind::text) return matched_texts(part, train, which, data);
  const auto labels = matched_classes(part.classes, train.classes);
  std::vector<std::string> unknown, missing;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0) unknown.push_back(part.classes[i]);
  for (size_t c = 0; c < train.classes.size(); ++c)
    if (std::find(labels.begin(), labels.end(), static_cast<int64_t>(c)) == labels.end())
      missing.push_back(train.classes[c]);
  GRAFT_CHECK(unknown.empty(), path, ": ", which, " has classes without training ", data.files.many,
              ": ", short_list(unknown), "; the training part's are ", short_list(train.classes));
  if (!missing.empty())
    data.notes.push_back(str(which, " has no ", data.files.many, " of ", short_list(missing),
                             ": how well they are found is not known"));
  if (data.answers == AnswerKind::maps) return maps_relabelled(part.dataset, labels);
  if (data.answers == AnswerKind::boxes) return boxes_relabelled(part.dataset, labels);
  return data.answers == AnswerKind::one_label ? relabelled(part.dataset, labels)
                                               : several_relabelled(part.dataset, labels);
}

// What the samples are answered by, as it was asked for or as the data have it.
void take_answers(const DataParts& parts, const std::string& path, const DataOptions& options,
                  OpenedData& data) {
  data.answers = parts.answers;
  data.answers_why = parts.answers_why;
  GRAFT_CHECK(options.answers != AnswerKind::numbers || data.answers == AnswerKind::numbers, path,
              ": holds no numbers to predict: a table of images and numbers is needed");
  GRAFT_CHECK(options.answers != AnswerKind::text || data.answers == AnswerKind::text, path,
              ": holds no texts: a .txt beside each of its ", data.files.many,
              ", a table, or --label-pattern is needed");
  if (options.answers == AnswerKind::several_labels && data.answers == AnswerKind::one_label) {
    data.answers = AnswerKind::several_labels;
    data.notes.push_back(str("each ", data.files.one, " has one label; a table gives it several"));
  }
}

// By the pattern, where one is given; what a table's column says is there already.
void take_groups(DataParts& parts, const std::string& path, const DataOptions& options,
                 const OpenedData& data) {
  if (options.group_pattern.empty()) {
    GRAFT_CHECK(options.columns.group.empty() || data.format == "csv", path,
                ": --group-column is of a table of images and their labels or numbers; "
                "--group-pattern finds groups in the files' names");
    GRAFT_CHECK(!options.fold_is_group || !options.columns.group.empty(), path,
                ": folds of groups need --group-column or --group-pattern");
    return;
  }
  if (!options.columns.group.empty())
    fail(ErrorCode::usage, "--group-column and --group-pattern exclude each other");
  for (DataPart* part : {&parts.train, &parts.val, &parts.test})
    if (part->dataset) part->dataset = grouped_by(part->dataset, options.group_pattern);
}

}  // namespace

OpenedData open_data(const std::string& path, const DataOptions& options) {
  Named named = read_any(path,
                         {.need_train = options.need_train,
                          .least_classes = options.least_classes,
                          .answers = options.answers,
                          .files = options.files},
                         options);
  DataParts& parts = named.parts;
  OpenedData data;
  data.format = named.format;
  data.files = options.files;
  data.notes = std::move(parts.notes);
  data.doubts = std::move(parts.doubts);
  data.passed_over = std::move(parts.passed_over);
  take_answers(parts, path, options, data);
  if (!options.val_path.empty()) take_validation(parts, options, data);
  take_groups(parts, path, options, data);
  for (DataPart* part : {&parts.train, &parts.val, &parts.test}) {
    if (!part->dataset) continue;
    write_as_utf8(part->classes, path, data.notes);
    // Before parts are drawn from them.
    data.bytes_held +=
        part->dataset->bytes_held() + part->dataset->size() * int64_t{sizeof(int64_t)};
  }
  if (!parts.val.dataset && parts.test.dataset && (parts.train.dataset || !options.need_train))
    std::swap(parts.val, parts.test);
  const DataPart& first = parts.train.dataset ? parts.train : parts.val;
  data.classes = first.classes;
  data.train = parts.train.dataset;
  data.val_name = parts.val.name;
  data.val = matched_part(parts.val, parts.train, path, data);
  data.test = matched_part(parts.test, parts.train, path, data);
  if (part_role(data.val_name) == PartRole::test && data.train)
    data.notes.push_back(str(data.val_name,
                             "/ serves as the validation part: the epoch is chosen "
                             "by it, so that its accuracy flatters the model a little"));
  if (!options.need_train) {
    if (!data.val && data.train && !options.columns.val_pattern.empty())
      split_by_name(data, path, options.columns.val_pattern);
    if (!data.val) data.val = data.train;
    data.train = data.test = nullptr;
    GRAFT_CHECK(data.val != nullptr, path, ": there are no samples");
  } else {
    GRAFT_CHECK(data.train != nullptr, path, ": there is no training part");
    GRAFT_CHECK(
        std::ssize(data.classes) >= options.least_classes || data.answers != AnswerKind::one_label,
        path, ": at least two classes are needed, it has ", data.classes.size());
    if (!options.columns.val_pattern.empty())
      split_by_name(data, path, options.columns.val_pattern);
    if (options.folds > 0) check_folds(data, path, options);
    if (!data.val && options.val_split != 0) split(data, path, options);
    limit(data, options);
  }
  Sha256 hash;
  hash.update(join(data.classes, "\n"));
  if (data.train) hash.update("\ntrain " + data.train->fingerprint());
  if (data.val) hash.update("\nval " + data.val->fingerprint());
  data.manifest_sha256 = hash.hex();
  return data;
}

}  // namespace graft::io
