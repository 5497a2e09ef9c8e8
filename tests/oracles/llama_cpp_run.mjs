// Tokens of texts, and those that llama.cpp makes of a prompt: node llama_cpp_run.mjs GGUF JOB
// JOB is JSON with texts, prompt and count. The folder of the process has node_modules.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const require = createRequire(`${process.cwd()}/`);
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(require.resolve("node-llama-cpp")));
const {texts, prompt, count} = JSON.parse(process.argv[3]);
const quiet = {gpu: false, build: "never", progressLogs: false, logLevel: LlamaLogLevel.error};
const model = await (await getLlama(quiet)).loadModel({modelPath: process.argv[2]});
const tokens = texts.map((text) => Array.from(model.tokenize(text, false)));
const made = [];
if (count) {
    const sequence = (await model.createContext({contextSize: 256, threads: 2})).getSequence();
    for await (const token of sequence.evaluate(prompt, {temperature: 0})) {
        made.push(token);
        if (made.length >= count) break;
    }
}
console.log(JSON.stringify({tokens, made}));
process.exit(0);
