# shellcheck shell=bash
# Sourced by .ci/run and tools/nightly.sh: `section NAME` begins a section and says how long the one before it took;
# `end_sections` prints all of them as a table. A script that fails prints what it has.
section_table=""

end_section() {
  [ -n "${section_name:-}" ] || return 0
  local seconds=$((SECONDS - section_began))
  section_table+=$(printf '| %s | %d.%d |' "$section_name" $((seconds / 60)) $((seconds % 60 / 6)))$'\n'
  printf -- '-- %d.%d min\n' $((seconds / 60)) $((seconds % 60 / 6))
  section_name=""
}
section() {
  end_section
  section_name=$1 section_began=$SECONDS
  printf '\n== %s\n' "$1"
}
end_sections() {
  end_section
  trap - EXIT
  printf '\n| section | minutes |\n|---|--:|\n%s' "$section_table"
  printf '| all | %d.%d |\n' $((SECONDS / 60)) $((SECONDS % 60 / 6))
}
trap end_sections EXIT
