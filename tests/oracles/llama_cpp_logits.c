// What llama.cpp computes of a few tokens: llama_cpp_logits BACKENDS KIND GGUF TOKEN...
// KIND is "logits" or "embeddings". It prints a line of JSON: the numbers, or why there are none.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llama.h"

static char problem[4096];

static void keep(enum ggml_log_level level, const char * text, void * unused) {
    (void) unused;
    if (level == GGML_LOG_LEVEL_ERROR && strlen(problem) + strlen(text) + 1 < sizeof problem) {
        strcat(problem, text);
    }
}

static int refuse(const char * what) {
    printf("{\"refused\": \"%s: ", what);
    for (const char * at = problem; *at; at++) {
        if (*at == '"' || *at == '\\') putchar('\'');
        else putchar(*at == '\n' || *at == '\t' ? ' ' : *at);
    }
    printf("\"}\n");
    return 0;
}

int main(int count, char ** words) {
    llama_log_set(keep, NULL);
    ggml_backend_load_all_from_path(words[1]);
    llama_backend_init();
    const bool embeds = !strcmp(words[2], "embeddings");
    struct llama_model_params how = llama_model_default_params();
    how.n_gpu_layers = 0;
    struct llama_model * model = llama_model_load_from_file(words[3], how);
    if (!model) return refuse("not opened");

    struct llama_context_params asked = llama_context_default_params();
    asked.n_ctx = asked.n_batch = asked.n_ubatch = 64;
    asked.n_threads = asked.n_threads_batch = 1;
    asked.embeddings = embeds;
    asked.pooling_type = LLAMA_POOLING_TYPE_NONE;
    struct llama_context * context = llama_init_from_model(model, asked);
    if (!context) return refuse("no context");

    struct llama_batch batch = llama_batch_init(64, 0, 1);
    batch.n_tokens = count - 4;
    for (int at = 0; at < batch.n_tokens; at++) {
        batch.token[at] = atoi(words[4 + at]);
        batch.pos[at] = at;
        batch.n_seq_id[at] = 1;
        batch.seq_id[at][0] = 0;
        batch.logits[at] = 1;
    }
    const bool encodes = llama_model_has_encoder(model);
    if (encodes && llama_encode(context, batch)) return refuse("not encoded");
    if (encodes && !embeds) {  // a decoder begins with a token of its own
        batch.n_tokens = 1;
        batch.token[0] = 0;
    }
    if (!(encodes && embeds) && llama_decode(context, batch)) return refuse("not decoded");

    const int width = embeds ? llama_model_n_embd(model)
                             : llama_vocab_n_tokens(llama_model_get_vocab(model));
    printf("{\"numbers\": [");
    for (int at = 0; at < batch.n_tokens; at++) {
        const float * row = embeds ? llama_get_embeddings_ith(context, at)
                                   : llama_get_logits_ith(context, at);
        for (int column = 0; column < width; column++) {
            printf(at + column ? ", %.9g" : "%.9g", row[column]);
        }
    }
    printf("]}\n");
    return 0;
}
