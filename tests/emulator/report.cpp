/* report.cpp -- see report.h. */
#include "report.h"

#include "block.h"

#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <vector>

/* ---- sites */
struct known_site {
    machine_place place;
    const void   *code;
};
static std::mutex                                   lock;
static std::vector<known_site>                      sites = {{{nullptr, 0}, nullptr}};
static std::map<std::pair<const void *, int>, site> numbers; /* of a file's name and line, or code and -1 */

static site number_of(const void *what, int line, const known_site &known) {
    std::lock_guard<std::mutex> guard(lock);
    auto                        entry = numbers.emplace(std::make_pair(what, line), (site)sites.size());
    if (entry.second) sites.push_back(known);
    return entry.first->second;
}

/* Loads and stores ask for the same few places again and again. */
static site recent_number_of(const void *what, int line, const known_site &known) {
    static thread_local struct {
        const void *what;
        int         line;
        site        number;
    } recent[1024];
    auto &entry = recent[((reinterpret_cast<uintptr_t>(what) >> 1) + (unsigned)line) % 1024];
    if (entry.what != what || entry.line != line) entry = {what, line, number_of(what, line, known)};
    return entry.number;
}

site site_of_place(machine_place place) {
    return recent_number_of(place.file, place.line, {place, nullptr});
}
site site_of_code(const void *return_address) {
    return recent_number_of(return_address, -1, {{nullptr, 0}, return_address});
}

/* By addr2line, which comes with the compilers: "file:line" */
static std::string line_of_code(const void *code) {
    Dl_info          info = {};
    struct link_map *map = nullptr;
    if (!dladdr1(code, &info, reinterpret_cast<void **>(&map), RTLD_DL_LINKMAP) || !map) return "unknown code";
    uintptr_t offset = reinterpret_cast<uintptr_t>(code) - 1 - map->l_addr; /* of the call, before what it returns to */
    char      program[2000] = "", command[2100], text[1000] = "";
    if (*map->l_name)
        snprintf(program, sizeof program, "%s", map->l_name);
    else if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        return "unknown code";
    snprintf(command, sizeof command, "addr2line -e '%s' 0x%lx 2>/dev/null", program, (unsigned long)offset);
    FILE *answer = popen(command, "r"); /* NOLINT(cert-env33-c): a command made here */
    if (answer) {
        if (!fgets(text, sizeof text, answer)) text[0] = 0;
        pclose(answer);
    }
    text[strcspn(text, "\n ")] = 0;
    if (!*text || *text == '?')
        snprintf(text, sizeof text, "%s+0x%lx", info.dli_sname ? info.dli_sname : "code", (unsigned long)offset);
    return text;
}

std::string site_text(site where) {
    static std::map<site, std::string> known;
    known_site                         of;
    {
        std::lock_guard<std::mutex> guard(lock);
        if (where == NO_SITE || where >= sites.size()) return "";
        auto found = known.find(where);
        if (found != known.end()) return found->second;
        of = sites[where];
    }
    std::string text =
        of.code ? line_of_code(of.code) : std::string(of.place.file) + ":" + std::to_string(of.place.line);
    char here[4096]; /* paths from the folder we stand in are shorter to read */
    if (getcwd(here, sizeof here) && text.compare(0, strlen(here), here) == 0 && text[strlen(here)] == '/')
        text.erase(0, strlen(here) + 1);
    std::lock_guard<std::mutex> guard(lock);
    return known[where] = text;
}

/* ---- reports */
enum { KEPT = 100 };
static std::deque<std::string>                reports;
static std::set<std::pair<site, std::string>> told; /* a kind and its site are kept once */
static int                                    count;

bool report_known(const char *kind, site where) {
    std::lock_guard<std::mutex> guard(lock);
    bool                        known = where != NO_SITE && told.count({where, kind});
    count += known;
    return known;
}

static std::string in_brackets(const machine_size &s) {
    return "(" + std::to_string(s.x) + ", " + std::to_string(s.y) + ", " + std::to_string(s.z) + ")";
}

void report(const char *kind, site where, const char *format, ...) {
    if (report_known(kind, where)) return;
    char    what[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    std::string text = std::string(kind) + ": " + what, place = site_text(where);
    if (machine_me) {
        text += std::string(" [kernel ") + block_kernel() + ", block " + in_brackets(machine_me->block) + ", thread " +
                in_brackets(machine_me->index) + (place.empty() ? "" : ", ") + place + "]";
    } else if (!place.empty()) {
        text += " [" + place + "]";
    }
    std::lock_guard<std::mutex> guard(lock);
    told.emplace(where, kind);
    count++;
    if (reports.size() < KEPT) reports.push_back(text);
}

int emulator_report_count(void) {
    std::lock_guard<std::mutex> guard(lock);
    return count;
}
const char *emulator_report(int number) {
    std::lock_guard<std::mutex> guard(lock);
    return number >= 0 && (size_t)number < reports.size() ? reports[(size_t)number].c_str() : nullptr;
}
bool emulator_reported(const char *kind) {
    std::lock_guard<std::mutex> guard(lock);
    for (const std::string &text : reports)
        if (text.compare(0, strlen(kind), kind) == 0 && text[strlen(kind)] == ':') return true;
    return false;
}
void emulator_forget_reports(void) {
    std::lock_guard<std::mutex> guard(lock);
    reports.clear();
    told.clear();
    count = 0;
}
