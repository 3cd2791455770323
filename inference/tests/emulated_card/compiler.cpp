// libnvrtc: the processor's compiler takes a kernel, and what it makes of it is a shared object. The code that is handed out is its
// path.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <regex>
#include <string>
#include <vector>

namespace {

struct Program {
    std::string source, code, log;
};

std::string replaced(const std::string &text, const char *pattern, const char *with) {
    return std::regex_replace(text, std::regex(pattern), with);
}

// The parameters that follow an opening bracket.
std::vector<std::string> parameters(const std::string &source, size_t at) {
    std::vector<std::string> all;
    std::string one;
    for (int depth = 0; source[at] != ')' || depth > 0; at++) {
        const char character = source[at];
        depth += (character == '(' || character == '<') - (character == ')' || character == '>');
        if (character == ',' && depth == 0) {
            all.push_back(one);
            one.clear();
        } else {
            one += character;
        }
    }
    all.push_back(one);
    return all;
}

// For every kernel a function that is given the addresses of its arguments, as a launch has them, and their sizes.
std::string calls(const std::string &source) {
    std::string functions;
    const std::regex kernel(R"(extern "C" __global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\()");
    for (std::sregex_iterator found(source.begin(), source.end(), kernel), end; found != end; ++found) {
        const std::string name = (*found)[1];
        functions += "extern \"C\" void call_" + name + "(void **arguments) {\n    " + name + "(";
        std::string sizes;
        int number = 0;
        for (std::string parameter : parameters(source, found->position() + found->length())) {
            parameter = replaced(parameter, "__restrict__|__grid_constant__", " ");
            std::string type = replaced(parameter, R"(\w+\s*$)", "");
            if (type.find('*') == std::string::npos) type = replaced(type, R"(\bconst\b)", "");
            functions += (number ? ", *(" : "*(") + type + "*)arguments[" + std::to_string(number) + "]";
            sizes += "sizeof(" + type + "), ";
            number++;
        }
        functions += ");\n}\nextern \"C\" const size_t sizes_" + name + "[] = {" + sizes + "0};\n";
    }
    return functions;
}

// The source without what only NVIDIA's compiler knows.
std::string portable(std::string source) {
    source = replaced(source, "#include <[^>]*>", "");
    source = replaced(source, R"re(extern __shared__ (?:__align__\(\d+\) )?([\w ]+?) (\w+)\[\];)re", "$1 *$2 = ($1 *)shared_memory;");
    source = replaced(source, R"re(asm\("cvt.rn.bf16x2.f32[^:]*: "=r"\((.*)\) : "f"\((.*)\), "f"\((.*)\)\);)re", "$1 = pair_of_halves($2, $3);");
    source = replaced(source, R"re(asm\("ex2.approx[^;]*;"[^;]*;)re", "power = exp2f(exponent);");
    source = replaced(source, R"re(asm volatile\("cp.async.cg.shared[^:]*::"r"\((.*)\), "l"\((.*)\), "r"\((.*)\)\);)re", "copy_to_shared($1, $2, $3);");
    source = replaced(source, R"re(asm volatile\("cp.async.(commit|wait)_group[^;]*;"( ::: "memory")?\);)re", "");
    source = replaced(source, R"re(asm volatile\("ldmatrix[^;]*x4.shared[^;]*;"[^;]*;)re", "load_matrices(to, from, false);");
    source = replaced(source, R"re(asm volatile\("ldmatrix[^;]*x4.trans[^;]*;"[^;]*;)re", "load_matrices(to, from, true);");
    return replaced(source, R"re(asm volatile\("mma.sync[^;]*;"[^;]*;)re", "multiply_matrices(sum, a, b);");
}

bool has_meetings(const std::string &source) {
    return std::regex_search(source, std::regex("__syncthreads|__syncwarp|__shfl|_sync\\(|mma.sync"));
}

std::string setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

}  // namespace

extern "C" {

int nvrtcVersion(int *major, int *minor) { return *major = 13, *minor = 0, 0; }

int nvrtcCreateProgram(Program **program, const char *source, const char *, int, const char *const *, const char *const *) {
    return *program = new Program{source, "", ""}, 0;
}

int nvrtcDestroyProgram(Program **program) { return delete *program, 0; }

int nvrtcCompileProgram(Program *program, int count, const char *const *options) {
    std::string source = "#include \"kernel.h\"\nextern \"C\" {\nchar *shared_memory;\n";
    if (has_meetings(program->source)) source += "bool has_meetings;\n";
    source += "}\n";
    for (int number = 0; number < count; number++) {
        const std::string option = options[number];
        if (option.rfind("-D", 0) == 0) source += "#define " + replaced(option.substr(2), "=", " ") + "\n";
    }
    source += portable(program->source) + "\n" + calls(program->source);

    char name[32];
    snprintf(name, sizeof name, "%016zx", std::hash<std::string>{}(source));
    const std::string home = setting("EMULATED_CARD"), file = home + "/kernels/" + name;
    program->code = file + ".so";
    if (access(program->code.c_str(), R_OK) == 0) return 0;
    std::ofstream(file + ".cpp") << source;
    const std::string command = "g++ -std=c++17 -O2 -w -fPIC -shared -fno-strict-aliasing -I" + setting("EMULATED_CARD_SOURCES") +
                                " -I" + home + "/include -I" + home + "/include/cccl " + file + ".cpp -o " + file + ".so -L" +
                                home + "/lib -lcuda 2> " + file + ".log";
    if (system(command.c_str()) == 0) return 0;
    std::ifstream log(file + ".log");
    program->log.assign(std::istreambuf_iterator<char>(log), {});
    fprintf(stderr, "emulated card: %s\n%.3000s\n", command.c_str(), program->log.c_str());
    return 6;
}

int nvrtcGetPTXSize(Program *program, size_t *bytes) { return *bytes = program->code.size() + 1, 0; }
int nvrtcGetPTX(Program *program, char *to) { return memcpy(to, program->code.c_str(), program->code.size() + 1), 0; }
int nvrtcGetProgramLogSize(Program *program, size_t *bytes) { return *bytes = program->log.size() + 1, 0; }
int nvrtcGetProgramLog(Program *program, char *to) { return memcpy(to, program->log.c_str(), program->log.size() + 1), 0; }
}
