/* front_end.cpp -- launches of compiled kernels, taken over by the PTX that nvcc made of the same source: found by the
 * name of the compiled function, which both compilers spell alike but for the L of an internal one. */
#include "run.h"
#include "traffic.h"

#include "tests/emulator/block.h"
#include "tests/emulator/checker.h"

#include <cxxabi.h>
#include <dirent.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>

/* ---- names of functions: this program's own symbol table, by address */
static std::map<uintptr_t, std::string> read_names(void) {
    std::map<uintptr_t, std::string> names;
    std::ifstream                    self("/proc/self/exe", std::ios::binary);
    std::string                      all((std::istreambuf_iterator<char>(self)), std::istreambuf_iterator<char>());
    const char                      *base = all.data();
    const ElfW(Ehdr) *head = reinterpret_cast<const ElfW(Ehdr) *>(base);
    const ElfW(Shdr) *sections = reinterpret_cast<const ElfW(Shdr) *>(base + head->e_shoff);
    uintptr_t loaded = 0; /* where the program lies: of a position-independent one not where its symbols say */
    dl_iterate_phdr(
        [](struct dl_phdr_info *info, size_t, void *to) {
            *static_cast<uintptr_t *>(to) = info->dlpi_addr;
            return 1; /* the first is the program */
        },
        &loaded);
    for (int s = 0; s < head->e_shnum; s++) {
        if (sections[s].sh_type != SHT_SYMTAB) continue;
        const ElfW(Sym) *symbols = reinterpret_cast<const ElfW(Sym) *>(base + sections[s].sh_offset);
        const char *texts = base + sections[sections[s].sh_link].sh_offset;
        for (size_t k = 0; k < sections[s].sh_size / sizeof *symbols; k++)
            if (ELF64_ST_TYPE(symbols[k].st_info) == STT_FUNC)
                names[loaded + symbols[k].st_value] = texts + symbols[k].st_name;
    }
    return names;
}
static std::string name_of(void (*function)(void)) {
    static const std::map<uintptr_t, std::string> names = read_names();
    auto                                          found = names.find(reinterpret_cast<uintptr_t>(function));
    std::string                                   name = found == names.end() ? "" : found->second;
    if (name.compare(0, 3, "_ZL") == 0) name.erase(2, 1);
    return name.substr(0, name.find('.')); /* gcc's clones */
}

/* ---- programs of the architecture in use */
typedef std::vector<std::unique_ptr<ptx_program>> programs;
static std::map<std::string, programs>            by_architecture;
static programs                                  *in_use;

struct taken {
    const ptx_program  *program;
    const ptx_function *kernel;
};
static taken                          running; /* launches come one by one */
static std::set<const ptx_function *> launched;

static void run_thread(const machine_launch &launch) {
    ptx_run_kernel(running.program, running.kernel, launch);
}

/* ---- what launches cost */
static std::vector<std::pair<const ptx_function *, emulator_kernel>> costs;

static void count_launch(const machine_launch &launch, const ptx_function *kernel) {
    size_t at = 0;
    while (at < costs.size() && costs[at].first != kernel) at++;
    if (at == costs.size()) {
        costs.push_back({kernel, emulator_kernel()});
        snprintf(costs[at].second.name, sizeof costs[at].second.name, "%s", launch.kernel);
        snprintf(costs[at].second.symbol, sizeof costs[at].second.symbol, "%s", kernel->name.c_str());
    }
    emulator_kernel &k = costs[at].second;
    k.launches++;
    k.threads = launch.block.x * launch.block.y * launch.block.z;
    k.shared = launch.shared;
}

void emulator_count_kernels(void) {
    costs.clear();
    traffic_begin();
}

bool emulator_kernel_at(int number, emulator_kernel *out) {
    if ((size_t)number >= costs.size()) return false;
    const traffic t = traffic_of(costs[(size_t)number].first);
    *out = costs[(size_t)number].second;
    out->requests = t.requests;
    out->sectors = t.sectors;
    out->fewest_sectors = t.fewest_sectors;
    out->shared_requests = t.shared_requests;
    out->passes = t.passes;
    out->fewest_passes = t.fewest_passes;
    out->instructions = t.instructions;
    out->mma = t.executed[MMA];
    out->ldmatrix = t.executed[LDMATRIX];
    out->copies = t.executed[CP_ASYNC];
    return true;
}

static const char *take_over(machine_launch &launch) {
    std::string name = name_of(launch.kernel_address);
    running = {nullptr, nullptr};
    for (const auto &program : *in_use) {
        auto found = program->functions.find(name);
        if (found != program->functions.end() && found->second->kernel) running = {program.get(), found->second};
    }
    if (!running.kernel) {
        report("launch", NO_SITE, "kernel %s (%s) is not in the PTX", launch.kernel, name.c_str());
        return "it is not in the PTX";
    }
    bool same = running.kernel->inputs.size() == launch.argument_count;
    for (size_t k = 0; same && k < launch.argument_count; k++)
        same = running.kernel->inputs[k].bytes == launch.arguments[k].bytes;
    if (!same) return "its parameters differ from those in its PTX";
    for (const auto &function : running.program->functions) /* and what it may call */
        if (function.second == running.kernel || !function.second->kernel) launched.insert(function.second);
    count_launch(launch, running.kernel);
    launch.body = run_thread;
    return nullptr;
}

/* A kernel's name and its parameters' types, as in the source; the PTX's where it is none of C++. */
static std::string name_in_source(const std::string &name) {
    int         status;
    char       *text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    std::string result = text ? text : name;
    free(text);
    return result;
}

static int unexecuted(bool each, void (*tell)(const char *line)) {
    int all_left = 0;
    for (const auto &program : *in_use)
        for (const auto &function : program->functions) {
            if (!launched.count(function.second)) continue;
            const std::vector<ptx_instruction> &code = function.second->code;
            auto left = std::count_if(code.begin(), code.end(), [](const ptx_instruction &i) { return !i.executed; });
            if (left == 0) continue;
            all_left += (int)left;
            tell((name_in_source(function.first) + ": " + std::to_string(left) + " of " +
                  std::to_string(code.size() - 1) + " instructions never executed")
                     .c_str()); /* the last is not theirs */
            for (const ptx_instruction &i : code)
                if (each && !i.executed)
                    tell(("    " + program->file + ":" + std::to_string(i.line) + ": " + i.text + "  " +
                          (i.file ? std::string(i.file) + ":" + std::to_string(i.source_line) : ""))
                             .c_str());
        }
    return all_left;
}

/* ---- PTX lies in folders beside the program: ptx/sm_90/layernorm.ptx. Each is a front end from the start, by itself
 * sm_90's; CANTUS_PTX=sm_80, or all, says which. */
static std::string folder_of_ptx(void) {
    char    self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    std::string path(self);
    return path.substr(0, path.rfind('/')) + "/ptx";
}
static std::vector<std::string> names_in(const std::string &folder) {
    std::vector<std::string> names;
    if (DIR *entries = opendir(folder.c_str())) {
        while (const dirent *entry = readdir(entries))
            if (entry->d_name[0] != '.') names.push_back(entry->d_name);
        closedir(entries);
    }
    std::sort(names.begin(), names.end());
    return names;
}

static void begin(const front_end &self) {
    std::string architecture = self.name.substr(self.name.rfind(' ') + 1),
                folder = folder_of_ptx() + "/" + architecture + "/";
    in_use = &by_architecture[architecture];
    if (in_use->empty())
        for (const std::string &file : names_in(folder))
            if (file.size() > 4 && file.compare(file.size() - 4, 4, ".ptx") == 0)
                in_use->emplace_back(ptx_read((folder + file).c_str()));
    checker_enable(true);
}

__attribute__((constructor)) static void add(void) {
    const char              *asked = getenv("CANTUS_PTX"), *wanted = asked && *asked ? asked : "sm_90";
    std::vector<std::string> architectures = names_in(folder_of_ptx());
    bool                     added = false;
    for (const std::string &architecture : architectures)
        if (architecture == wanted || !strcmp(wanted, "all")) {
            launch_add_front_end({"PTX of " + architecture, begin, take_over, unexecuted});
            added = true;
        }
    if (!added) {
        fprintf(stderr, "no PTX of %s in %s (CANTUS_PTX: all, or one of sm_80, sm_90, sm_100, sm_120)\n", wanted,
                folder_of_ptx().c_str());
        exit(1); /* not by the compiled kernels in its place */
    }
}
