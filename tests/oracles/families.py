"""Which classes of transformers are one architecture, and which architectures are one file.

A file of ``caten_sd/layouts/`` has architectures by the name that a GGUF has for them. Each has the
classes whose pairs its rows come from. The first gives the names, the others may have rows more.
"""

FAMILIES: dict[str, dict[str, list[str]]] = {
    "afmoe": {"afmoe": ["AfmoeForCausalLM"]},
    "apertus": {"apertus": ["ApertusForCausalLM"]},
    "arcee": {"arcee": ["ArceeForCausalLM"]},
    "bloom": {"bloom": ["BloomForCausalLM", "BloomModel"]},
    "cohere": {
        "command-r": ["CohereForCausalLM", "CohereForCausalLM-bias", "CohereForCausalLM-qknorm"],
        "cohere2": ["Cohere2ForCausalLM"],
        "cohere2moe": ["Cohere2MoeForCausalLM", "Cohere2MoeForCausalLM-dense"],
    },
    "deepseek": {
        "deepseek2": [
            "DeepseekV3ForCausalLM",
            "DeepseekV3ForCausalLM-bias",
            "DeepseekV2ForCausalLM",
            "Glm4MoeLiteForCausalLM",
            "YoutuForCausalLM",
        ],
    },
    "deepseek_v32": {
        "deepseek32": ["DeepseekV32ForCausalLM"],
        "glm-dsa": ["GlmMoeDsaForCausalLM"],
    },
    "dflash": {"dflash": ["MuseGlimmerAssistantModel"]},
    "dots1": {"dots1": ["Dots1ForCausalLM"]},
    "ernie": {
        "ernie4_5": ["Ernie4_5ForCausalLM"],
        "ernie4_5-moe": ["Ernie4_5_MoeForCausalLM"],
        "paddleocr": ["PaddleOCRVLForConditionalGeneration"],
    },
    "exaone": {
        "exaone4": ["Exaone4ForCausalLM", "Exaone4_5_ForConditionalGeneration"],
        "exaone-moe": ["ExaoneMoeForCausalLM"],
    },
    "falcon": {
        "falcon": ["FalconForCausalLM"],
        "falcon-7b": ["FalconForCausalLM-7b"],
    },
    "falcon_h1": {"falcon-h1": ["FalconH1ForCausalLM"]},
    "gemma": {
        "gemma": ["GemmaForCausalLM", "GemmaForCausalLM-bias"],
        "gemma2": ["Gemma2ForCausalLM"],
        "gemma3": ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "Gemma3TextModel"],
    },
    "gemma3n": {"gemma3n": ["Gemma3nForCausalLM"]},
    "gemma4": {
        "gemma4": ["Gemma4ForCausalLM", "Gemma4ForCausalLM-shared", "Gemma4ForCausalLM-moe"]
    },
    "glm": {
        "chatglm": ["GlmForCausalLM"],
        "glm4": ["Glm4ForCausalLM"],
        "glm4moe": ["Glm4MoeForCausalLM", "SolarOpenForCausalLM"],
    },
    "gpt_bigcode": {"starcoder": ["GPTBigCodeForCausalLM"]},
    "gpt_neox": {"gptneox": ["GPTNeoXForCausalLM", "GPTNeoXForCausalLM-nobias"]},
    "gpt_oss": {"gpt-oss": ["GptOssForCausalLM"]},
    "granite_moe": {
        "granitemoe": ["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"],
    },
    "granite_hybrid": {
        "granitehybrid": ["GraniteMoeHybridForCausalLM"],
        "granitehybrid-dense": ["GraniteMoeHybridForCausalLM-dense"],
        "granitehybrid-bamba": ["BambaForCausalLM"],
    },
    "granite_swa": {"granite_swa": ["GraniteSWAForCausalLM", "GraniteMoeSWAForCausalLM"]},
    "hrm": {"hrm_text": ["HrmTextForCausalLM"]},
    "hunyuan": {
        "hunyuan-dense": ["HunYuanDenseV1ForCausalLM"],
        "hunyuan-moe": ["HunYuanMoEV1ForCausalLM"],
        "hunyuan_vl": ["HunYuanVLForConditionalGeneration"],
    },
    "hy": {"hy_v3": ["HYV3ForCausalLM"]},
    "jais2": {"jais2": ["Jais2ForCausalLM"]},
    "laguna": {"laguna": ["LagunaForCausalLM"]},
    "lfm2": {
        "lfm2": ["Lfm2ForCausalLM", "Lfm2Model"],
        "lfm2moe": ["Lfm2MoeForCausalLM"],
    },
    "llama4": {"llama4": ["Llama4ForCausalLM", "Llama4ForCausalLM-interleaved"]},
    "mamba": {
        "mamba": ["MambaForCausalLM", "FalconMambaForCausalLM"],
        "mamba2": ["Mamba2ForCausalLM"],
        "jamba": ["JambaForCausalLM", "JambaForCausalLM-dense"],
    },
    "mellum": {"mellum": ["MellumForCausalLM"]},
    "mimo": {"mimo2": ["MiMoV2FlashForCausalLM"]},
    "minicpm": {"minicpm3": ["MiniCPM3ForCausalLM"]},
    "minimax": {"minimax-m2": ["MiniMaxM2ForCausalLM"]},
    "modern_bert": {"modern-bert": ["ModernBertModel"], "eurobert": ["EuroBertModel"]},
    "nemotron": {
        "nemotron": ["NemotronForCausalLM"],
        "nemotron_h_moe": ["NemotronHForCausalLM", "NemotronHForCausalLM-dense"],
    },
    "olmo": {
        "olmo": ["OlmoForCausalLM", "OlmoForCausalLM-bias"],
        "olmo2": ["Olmo2ForCausalLM", "Olmo2ForCausalLM-bias", "Olmo3ForCausalLM"],
        "olmoe": ["OlmoeForCausalLM"],
    },
    "phi": {"phi2": ["PhiForCausalLM"], "phi3": ["Phi3ForCausalLM"]},
    "qwen2": {
        "qwen2": [
            "Qwen2ForCausalLM",
            "Qwen2Model",
            "Qwen2AudioForConditionalGeneration",
            "AudioFlamingo3ForConditionalGeneration",
        ],
        "qwen2vl": ["Qwen2_5_VLForConditionalGeneration"],
    },
    "qwen3": {
        "qwen3": ["Qwen3ForCausalLM", "Qwen3ForCausalLM-bias", "Qwen3Model"],
        "qwen3vl": ["Qwen3VLForConditionalGeneration", "Qwen3ASRForConditionalGeneration"],
    },
    "qwen3_5": {
        "qwen35": [
            "Qwen3_5ForCausalLM",
            "Qwen3_5ForConditionalGeneration",
            "MiniCPMV4_6ForConditionalGeneration",
        ],
    },
    "qwen3_5_moe": {
        "qwen35moe": ["Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"],
    },
    "qwen3_next": {"qwen3next": ["Qwen3NextForCausalLM"]},
    "qwen_moe": {
        "qwen2moe": ["Qwen2MoeForCausalLM", "Qwen2MoeForCausalLM-nobias"],
        "qwen3moe": ["Qwen3MoeForCausalLM", "Qwen3MoeForCausalLM-bias"],
        "qwen3vlmoe": ["Qwen3VLMoeForConditionalGeneration"],
    },
    "seed_oss": {"seed_oss": ["SeedOssForCausalLM"]},
    "stablelm": {"stablelm": ["StableLmForCausalLM", "StableLmForCausalLM-bias"]},
    "starcoder2": {"starcoder2": ["Starcoder2ForCausalLM", "Starcoder2ForCausalLM-nobias"]},
    "step": {"step35": ["Step3p7ForConditionalGeneration"]},
    "t5": {
        "t5": [
            "T5ForConditionalGeneration-gated",
            "MT5ForConditionalGeneration",
            "UMT5ForConditionalGeneration",
            "UMT5Model",
        ],
        "t5-relu": ["T5ForConditionalGeneration"],
        "t5encoder": ["T5EncoderModel-gated"],
        "t5encoder-relu": ["T5EncoderModel"],
    },
}

# Names behind hf- that are not the model type, which another architecture has as well.
NAMES = {
    "falcon-7b": "falcon-7b",
    "granitehybrid-dense": "granitemoehybrid-dense",
    "t5-relu": "t5-relu",
    "t5encoder": "t5-encoder",
    "t5encoder-relu": "t5-encoder-relu",
}

# Architectures with the names and shapes of another: only what a file says tells them from it.
ONLY_IF_SAID = {"starcoder"}

# What hand-written files have: their layouts are proved on these classes as well.
BY_HAND = [
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BertModel",
    "CamembertModel",
    "DistilBertForMaskedLM",
    "DistilBertModel",
    "GPT2LMHeadModel",
    "GraniteForCausalLM",
    "GraniteForCausalLM-bias",
    "LlamaForCausalLM",
    "LlamaForCausalLM-bias",
    "LlamaModel",
    "LlavaForConditionalGeneration",
    "MistralForCausalLM",
    "MixtralForCausalLM",
    "RobertaForSequenceClassification",
    "RobertaModel",
    "SmolLM3ForCausalLM",
    "SmolLM3ForCausalLM-bias",
    "VoxtralForConditionalGeneration",
    "XLMRobertaForSequenceClassification",
    "XLMRobertaModel",
]
