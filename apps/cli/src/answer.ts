import {
  type Classification,
  type Model,
  type NdArray,
  type NestedNumbers,
  TenonError,
  type TensorSpec,
  type Tree,
  toNested,
  treeLeaves,
  treeMap,
} from '@tenon-ml/core';

/** What a model says to a batch: classes where its outputs are class logits, the outputs as they are otherwise. */
export type Answer =
  | { readonly predictions: readonly Classification[] }
  | { readonly outputs: Tree<NestedNumbers> };

export async function answer(model: Model, input: NdArray): Promise<Answer> {
  const { output, outputActivation } = model.artifact;
  const logits = treeLeaves<TensorSpec>(output)[0] === output && output.shape.length === 2;
  if (logits && outputActivation !== null) {
    const predictions = await model.classify(input);
    return { predictions };
  }
  const outputs = await model.predict(input);
  for (const { data, shape } of treeLeaves<NdArray>(outputs)) {
    const broken = Array.from(data as Float32Array).findIndex((value) => !Number.isFinite(value));
    if (broken >= 0) throw notFinite(Math.floor(broken / (data.length / shape[0])));
  }
  return { outputs: treeMap(outputs, (array) => toNested(array)) as Tree<NestedNumbers> };
}

/** JSON has no NaN: it would leave as null, without a word. */
function notFinite(example: number): TenonError {
  return new TenonError({
    code: 'NOT_FINITE',
    where: `example ${example + 1}`,
    message: "the model's output is not finite",
    hint: 'Look for numbers far from those that it was trained on.',
  });
}
