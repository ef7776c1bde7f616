/* read.cpp -- PTX text to a program (program.h): declarations, labels, instructions. One pass over statements; branches
 * and calls find their targets at the end. Reads what nvcc writes, not all that the manual allows. */
#include "program.h"
#include "words.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

/* ---- text */
typedef std::string text;

static text trimmed(const text &s) {
    size_t first = s.find_first_not_of(" \t\n\r"), last = s.find_last_not_of(" \t\n\r");
    return first == text::npos ? "" : s.substr(first, last - first + 1);
}
static std::vector<text> split(const text &s, char at) {
    std::vector<text> parts;
    text              part;
    int               depth = 0;
    for (char c : s) {
        if (c == '{' || c == '[' || c == '(') depth++;
        if (c == '}' || c == ']' || c == ')') depth--;
        if (c == at && depth == 0) {
            parts.push_back(trimmed(part));
            part.clear();
        } else
            part += c;
    }
    if (!trimmed(part).empty()) parts.push_back(trimmed(part));
    return parts;
}
static std::vector<text> words(const text &s) {
    std::istringstream stream(s);
    std::vector<text>  list;
    for (text word; stream >> word;) list.push_back(word);
    return list;
}
static text inside(const text &s) { /* of "[x]", "{x}", "(x)" */
    return trimmed(s.substr(1, s.size() - 2));
}
static bool begins(const text &s, const char *with) {
    return s.compare(0, strlen(with), with) == 0;
}

/* ---- one file */
typedef std::array<int, 3> place; /* file, line, column */

struct reader {
    ptx_program                *program = nullptr;
    text                        path;
    int                         line = 1; /* of the statement */
    std::map<text, ptx_operand> globals;
    std::map<int, const char *> files;
    std::map<place, place>      callers; /* of code that was put in another function's */

    /* of the function being read */
    ptx_function                        *function = nullptr;
    std::map<text, ptx_operand>          names; /* registers, parameters, local memory */
    std::map<text, size_t>               labels;
    std::vector<std::pair<size_t, text>> branches, calls;
    int                                  source_file = 0, source_line = 0;

    [[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 2, 3)));
    size_t            place_in_frame(size_t bytes, size_t alignment);
    size_t            add_symbol(const ptx_symbol &symbol);
    void              declare_registers(const text &statement);
    void              declare_variable(const text &statement);
    ptx_variable      declare_parameter(const text &declaration);
    void              begin_function(const text &heading);
    void              end_function(void);
    void              statement(const text &s);
    bool              is_kernels(int file) const;
    void              location(const text &s);
    void              instruction(const text &s);
    void              call(ptx_instruction &i, const text &rest);
    ptx_operand       operand(text s);
    void              suffix_of(ptx_instruction &i, const text &word);
    void              operands_of(ptx_instruction &i, const text &rest);
    void              settle(ptx_instruction &i);
    void              body(const text &all);
    void              read(void);
};

void reader::fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", path.c_str(), line);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

/* ---- declarations */
size_t reader::place_in_frame(size_t bytes, size_t alignment) {
    size_t at = (function->frame + alignment - 1) / alignment * alignment;
    function->frame = at + bytes;
    return at;
}
size_t reader::add_symbol(const ptx_symbol &symbol) {
    program->symbols.push_back(symbol);
    return program->symbols.size() - 1;
}

static ptx_type type_of(const text &word) { /* ".b32" */
    return word[0] == '.' ? ptx_type_of(word.substr(1)) : NONE;
}

/* .reg .b32 %r<109>; or .reg .pred p, q; */
void reader::declare_registers(const text &s) {
    std::vector<text> w = words(s);
    if (w.size() < 3) fail("no registers in: %s", s.c_str());
    text list = s.substr(s.find(w[2], s.find(w[1]) + w[1].size()));
    for (const text &name : split(list, ',')) {
        size_t many = name.find('<'), count = many == text::npos ? 1 : strtoul(name.c_str() + many + 1, nullptr, 10);
        for (size_t i = 0; i < count; i++) {
            ptx_operand o;
            o.kind = REGISTER;
            o.number = function->registers++;
            names[many == text::npos ? name : name.substr(0, many) + std::to_string(i)] = o;
        }
    }
}

/* [.extern] .shared .align 16 .b8 name[64], .local ..., .global .align 8 .b8 table[2] = {1, 2} */
void reader::declare_variable(const text &s) {
    size_t     equals = s.find('=');
    text       head = trimmed(s.substr(0, equals)), name;
    ptx_symbol symbol;
    ptx_space  space = GENERIC;
    size_t     element = 0;
    bool       external = false;
    for (size_t i = 0; i < words(head).size(); i++) {
        const text w = words(head)[i];
        if (w == ".shared")
            space = SHARED;
        else if (w == ".local")
            space = LOCAL;
        else if (w == ".global" || w == ".const")
            space = GLOBAL;
        else if (w == ".extern")
            external = true;
        else if (w == ".align")
            symbol.alignment = strtoul(words(head)[++i].c_str(), nullptr, 10);
        else if (type_of(w) != NONE)
            element = ptx_size(type_of(w));
        else if (w[0] != '.')
            name = w;
        else if (w != ".visible" && w != ".weak")
            fail("declaration not understood: %s", s.c_str());
    }
    size_t bracket = name.find('[');
    symbol.bytes = element * (bracket == text::npos ? 1 : strtoul(name.c_str() + bracket + 1, nullptr, 10));
    if (bracket != text::npos) name.resize(bracket);
    if (symbol.alignment < element) symbol.alignment = element;
    ptx_operand o;
    o.kind = SYMBOL;
    if (space == SHARED)
        symbol.kind = external ? SYMBOL_DYNAMIC_SHARED : SYMBOL_SHARED;
    else if (space == LOCAL) {
        symbol.kind = SYMBOL_FRAME;
        symbol.at = place_in_frame(symbol.bytes, symbol.alignment);
    } else if (space == GLOBAL) {
        symbol.data.resize(symbol.bytes);
        std::vector<text> values;
        if (equals != text::npos) values = split(inside(trimmed(s.substr(equals + 1))), ',');
        for (size_t i = 0; i < values.size(); i++) {
            uint64_t value = operand(values[i]).number;
            memcpy(symbol.data.data() + i * element, &value, element);
        }
    } else
        fail("declaration not understood: %s", s.c_str());
    o.number = add_symbol(symbol);
    if (space == GLOBAL) program->constants.push_back(o.number);
    (function ? names : globals)[name] = o;
}

/* .param .align 8 .b8 name[16] or .param .b64 name: a place in the frame */
ptx_variable reader::declare_parameter(const text &s) {
    ptx_symbol        symbol;
    size_t            element = 0;
    text              name;
    std::vector<text> w = words(s);
    for (size_t i = 0; i < w.size(); i++) {
        if (w[i] == ".align")
            symbol.alignment = strtoul(w[++i].c_str(), nullptr, 10);
        else if (type_of(w[i]) != NONE)
            element = ptx_size(type_of(w[i]));
        else if (w[i][0] != '.')
            name = w[i];
    }
    if (name.empty() || !element) fail("parameter not understood: %s", s.c_str());
    size_t bracket = name.find('[');
    symbol.kind = SYMBOL_FRAME;
    symbol.bytes = element * (bracket == text::npos ? 1 : strtoul(name.c_str() + bracket + 1, nullptr, 10));
    if (symbol.alignment < element) symbol.alignment = element;
    symbol.at = place_in_frame(symbol.bytes, symbol.alignment);
    ptx_operand o;
    o.kind = SYMBOL;
    o.number = add_symbol(symbol);
    names[name.substr(0, bracket)] = o;
    return {symbol.at, symbol.bytes};
}

/* ---- functions: "[.visible] .entry name(parameters) ...", ".func (result) name(parameters)" */
void reader::begin_function(const text &heading) {
    bool kernel = heading.find(".entry") != text::npos;
    text rest = trimmed(heading.substr(heading.find(kernel ? ".entry" : ".func") + (kernel ? 6 : 5))), results;
    if (!kernel && rest[0] == '(') {
        results = inside(rest.substr(0, rest.find(')') + 1));
        rest = trimmed(rest.substr(rest.find(')') + 1));
    }
    size_t open = rest.find('('), name_end = open == text::npos ? rest.find_first_of(" \t\n") : open;
    text   name = trimmed(rest.substr(0, name_end)), parameters;
    if (open != text::npos) parameters = inside(rest.substr(open, rest.find(')', open) - open + 1));
    ptx_function *&known = program->functions[name];
    if (!known) known = new ptx_function();
    function = known;
    *function = ptx_function();
    function->name = name;
    function->kernel = kernel;
    function->file = path;
    names.clear();
    labels.clear();
    branches.clear();
    for (const text &one : split(parameters, ',')) function->inputs.push_back(declare_parameter(one));
    function->parameters = function->frame;
    for (const text &one : split(results, ',')) function->results.push_back(declare_parameter(one));
}

void reader::end_function(void) {
    for (const auto &branch : branches) {
        auto label = labels.find(branch.second);
        if (label == labels.end()) fail("no label %s", branch.second.c_str());
        function->code[branch.first].target = label->second;
    }
    ptx_instruction last;
    last.opcode = RET;
    last.text = "}";
    last.line = line;
    last.executed = true; /* not an instruction of theirs */
    function->code.push_back(last);
    function = nullptr;
}

/* ---- operands */
ptx_operand reader::operand(text s) {
    ptx_operand o;
    s = trimmed(s);
    if (s.empty()) fail("an operand is missing");
    if (s[0] == '!') {
        o = operand(s.substr(1));
        o.negated = true;
        return o;
    }
    if (s == "_") {
        o.kind = REGISTER;
        o.number = ~(uint64_t)0;
        return o;
    }
    if (ptx_special_of(s, &o.number)) {
        o.kind = SPECIAL;
        return o;
    }
    auto own = names.find(s);
    if (own != names.end()) return own->second;
    auto global = globals.find(s);
    if (global != globals.end()) return global->second;
    o.kind = IMMEDIATE;
    if (begins(s, "0f") || begins(s, "0F") || begins(s, "0d") || begins(s, "0D")) {
        o.number = strtoull(s.c_str() + 2, nullptr, 16);
        return o;
    }
    if (!isdigit((unsigned char)s[0]) && s[0] != '-') fail("unknown operand %s", s.c_str());
    char *end;
    o.number = s[0] == '-' ? (uint64_t)strtoll(s.c_str(), &end, 0) : strtoull(s.c_str(), &end, 0);
    if (*end && strcmp(end, "U") != 0) fail("unknown operand %s", s.c_str());
    return o;
}

void reader::operands_of(ptx_instruction &i, const text &rest) {
    std::vector<text> parts = split(rest, ',');
    for (size_t k = 0; k < parts.size(); k++) {
        const text &part = parts[k];
        if (part[0] == '{') {
            for (const text &one : split(inside(part), ',')) i.operands.push_back(operand(one));
            if (i.opcode == MOV) {
                i.opcode = k == 0 ? MOV_UNPACK : MOV_PACK;
                i.count = (unsigned)split(inside(part), ',').size();
            }
        } else if (part[0] == '[') {
            text        address = inside(part);
            size_t      plus = address.find('+');
            ptx_operand o = operand(address.substr(0, plus));
            if (plus != text::npos) o.offset = strtoll(address.c_str() + plus + 1, nullptr, 0);
            i.operands.push_back(o);
        } else {
            for (const text &one : split(part, '|')) i.operands.push_back(operand(one));
        }
    }
}

/* ---- instructions */
void reader::suffix_of(ptx_instruction &i, const text &word) {
    size_t space = word.find("::"); /* .shared::cta */
    if (!ptx_take_suffix(i, word.substr(0, space)))
        fail("suffix .%s is not understood: %s", word.c_str(), i.text.c_str());
}

void reader::call(ptx_instruction &i, const text &rest) { /* (result), name, (arguments) */
    text name;
    bool before = true;
    for (const text &part : split(rest, ',')) {
        if (part[0] != '(') {
            name = part;
            before = false;
            continue;
        }
        for (const text &one : split(inside(part), ',')) {
            i.operands.push_back(operand(one));
            i.count = before ? (unsigned)i.operands.size() + 1 : i.count; /* results, and one more */
        }
    }
    ptx_function *&callee = program->functions[name];
    if (!callee) callee = new ptx_function();
    i.callee = callee;
}

/* What the run assumes of an instruction is seen to here. */
void reader::settle(ptx_instruction &i) {
    auto needs = [&](bool fine) {
        if (!fine) fail("form of instruction not understood: %s", i.text.c_str());
    };
    const size_t n = i.operands.size();
    switch (i.opcode) {
    case MMA:
        needs(i.text.find("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32") == 0 && n == 14);
        break;
    case LDMATRIX:
        needs(i.type == B16 && n == i.count + 1);
        break;
    case CP_ASYNC:
        needs(n == 3 || n == 4);
        i.space = SHARED;
        break;
    case CP_ASYNC_WAIT:
        needs(n == 1 && i.operands[0].kind == IMMEDIATE);
        break;
    case LD:
    case ST:
        needs(i.type != NONE && n == i.count + 1);
        break;
    case SHFL:
        needs(n == 5 || n == 6);
        break;
    case VOTE:
        needs(n == 3);
        break;
    case SETP:
        needs(n == (i.how == PLAIN ? 3 : 4) && i.text.find('|') == text::npos);
        break;
    case BAR:
        needs(n == 1 && i.operands[0].kind == IMMEDIATE && i.operands[0].number == 0);
        break;
    case BAR_WARP:
        needs(n == 1);
        break;
    case BAR_RED:
        needs(n == 3 && i.operands[1].number == 0);
        break;
    case CVT:
        needs(i.type != NONE && i.from != NONE);
        break;
    case BRA:
    case RET:
    case TRAP:
    case FENCE:
    case CP_ASYNC_COMMIT:
        needs(n == 0);
        break;
    default:
        needs(n >= 1 && i.operands[0].kind != IMMEDIATE);
    }
}

void reader::instruction(const text &s) {
    if (!function) fail("not in a function: %s", s.c_str());
    ptx_instruction i;
    text            rest = s;
    i.line = line;
    i.source_line = source_line;
    auto file = files.find(source_file);
    i.file = source_line && file != files.end() ? file->second : nullptr;
    if (rest[0] == '@') {
        size_t end = rest.find_first_of(" \t");
        i.guard = operand(rest.substr(1, end - 1));
        rest = trimmed(rest.substr(end));
    }
    i.text = rest;
    size_t            end = rest.find_first_of(" \t\n");
    std::vector<text> parts = split(rest.substr(0, end), '.');
    rest = end == text::npos ? "" : trimmed(rest.substr(end));
    if (!ptx_opcode_of(parts[0], &i.opcode)) fail("instruction not understood: %s", s.c_str());
    for (size_t k = 1; k < parts.size(); k++) suffix_of(i, parts[k]);
    if (i.opcode == BRA)
        branches.push_back({function->code.size(), rest});
    else if (i.opcode == CALL)
        call(i, rest);
    else
        operands_of(i, rest);
    if (i.opcode != CALL) settle(i);
    function->code.push_back(i);
}

bool reader::is_kernels(int file) const { /* no header's */
    auto found = files.find(file);
    return found != files.end() && strstr(found->second, ".cu");
}

/* the three numbers that stand after a word */
static bool place_after(const text &s, const char *word, place *out) {
    const size_t at = s.find(word);
    if (at == text::npos) return false;
    const char *next = s.c_str() + at + strlen(word);
    for (int &number : *out) {
        char *end;
        number = (int)strtol(next, &end, 10);
        if (end == next) return false;
        next = end;
    }
    return true;
}

/* .loc file line column [, function_name ..., inlined_at file line column]. What a header does (an instruction of
 * platform.h, an atomic of CUDA's) belongs to the line of the kernel that calls it, perhaps by way of other headers. */
void reader::location(const text &s) {
    place now = {}, caller = {};
    if (!place_after(s, ".loc", &now)) fail("no place in: %s", s.c_str());
    if (now[1] == 0) return; /* line 0: what the compiler made by itself belongs to what stands before */
    if (place_after(s, "inlined_at", &caller)) callers[now] = caller;
    for (auto up = callers.find(now); up != callers.end() && !is_kernels(now[0]); up = callers.find(now)) {
        if (up->second == now) break;
        now = up->second;
    }
    source_file = now[0];
    source_line = now[1];
}

void reader::statement(const text &s) {
    if (begins(s, ".reg"))
        declare_registers(s);
    else if (begins(s, ".param"))
        declare_parameter(s);
    else if (begins(s, ".shared") || begins(s, ".local") || begins(s, ".global") || begins(s, ".const") ||
             begins(s, ".extern") || begins(s, ".visible") || begins(s, ".weak"))
        declare_variable(s);
    else if (begins(s, ".pragma"))
        return;
    else if (s[0] == '.')
        fail("directive not understood: %s", s.c_str());
    else
        instruction(s);
}

/* Statements of a function's body: braces that open no operand are scopes of names, and names are not used twice. */
void reader::body(const text &all) {
    text one;
    int  depth = 0, begun = line;
    auto flush = [&] {
        int now = line;
        line = begun;
        if (!trimmed(one).empty()) statement(trimmed(one));
        line = now;
        one.clear();
    };
    for (size_t k = 0; k < all.size(); k++) {
        char c = all[k];
        if (trimmed(one).empty()) begun = line;
        if (c == '\n') line++;
        if (c == '\n' && begins(trimmed(one), ".loc")) {
            location(trimmed(one));
            one.clear();
        } else if (c == ';' && depth == 0)
            flush();
        else if (c == ':' && depth == 0 && one.find_first_of(" \t\n", one.find_first_not_of(" \t\n")) == text::npos &&
                 all[k + 1] != ':' && all[k - 1] != ':') {
            labels[trimmed(one)] = function->code.size();
            one.clear();
        } else if ((c == '{' || c == '}') && depth == 0 && trimmed(one).empty()) {
            continue;
        } else {
            depth += (c == '{' || c == '(' || c == '[') - (c == '}' || c == ')' || c == ']');
            one += c;
        }
    }
    flush();
}

static text without_comments(const text &s) {
    text result;
    for (size_t k = 0; k < s.size(); k++) {
        if (s.compare(k, 2, "//") == 0)
            while (k < s.size() && s[k] != '\n') k++;
        result += k < s.size() ? s[k] : '\n';
    }
    return result;
}

void reader::read(void) {
    std::ifstream     stream(path);
    std::stringstream buffer;
    if (!stream) fail("can't open");
    buffer << stream.rdbuf();
    text   all = without_comments(buffer.str());
    size_t k = 0;
    auto   next = [&](const char *ends) {
        size_t at = all.find_first_of(ends, k);
        if (at == text::npos) fail("the file ends in the middle of: %.60s", trimmed(all.substr(k)).c_str());
        return at;
    };
    /* files first: they stand at the end */
    for (size_t at = 0; (at = all.find(".file", at)) != text::npos; at++) {
        std::vector<text> w = words(all.substr(at, all.find('\n', at) - at));
        if (w.size() > 2)
            files[(int)strtol(w[1].c_str(), nullptr, 10)] = strdup(w[2].substr(1, w[2].rfind('"') - 1).c_str());
    }
    while (k < all.size()) {
        size_t end = all.find_first_of(";{\n", k);
        if (end == text::npos) break;
        text head = trimmed(all.substr(k, end - k));
        bool starts = head.find(".entry") != text::npos || head.find(".func") != text::npos;
        if (starts) { /* up to its body, or, declared only, to ";" */
            size_t stop = next(";{");
            head = trimmed(all.substr(k, stop - k));
            line += (int)std::count(all.begin() + (long)k, all.begin() + (long)stop, '\n');
            k = stop + 1;
            if (all[stop] == ';') continue;
            int    depth = 1;
            size_t close = k;
            for (; close < all.size() && depth; close++) depth += (all[close] == '{') - (all[close] == '}');
            if (depth) fail("the file ends in the middle of: %.60s", head.c_str());
            begin_function(head);
            body(all.substr(k, close - 1 - k));
            end_function();
            k = close;
        } else if (begins(head, ".section")) {
            break; /* debugging data to the end */
        } else if (begins(head, ".file") || begins(head, ".version") || begins(head, ".target") ||
                   begins(head, ".address_size") || head.empty()) {
            if (begins(head, ".target")) program->target = words(head)[1];
            if (program->target.find(',') != text::npos) program->target.resize(program->target.find(','));
            k = next("\n") + 1;
            line++;
        } else {
            size_t stop = next(";");
            statement(trimmed(all.substr(k, stop - k)));
            line += (int)std::count(all.begin() + (long)k, all.begin() + (long)stop, '\n');
            k = stop + 1;
        }
    }
    for (const auto &f : program->functions)
        if (f.second->code.empty()) fail("function %s has no body", f.first.c_str());
}

ptx_program *ptx_read(const char *path) {
    reader r;
    r.program = new ptx_program();
    r.program->file = r.path = path;
    r.read();
    return r.program;
}
