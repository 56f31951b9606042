import { inBoth } from './texts.js';

/** What a person is told for each code of a `TenonError`; the error's own message stands below, as the details. */
export const errors = inBoth({
  en: {
    known: {
      INVALID_ARGUMENT: 'A setting has a value that cannot be used.',
      SHAPE_MISMATCH: 'The sizes of two parts do not fit together.',
      DTYPE_MISMATCH: 'A part got numbers of another kind than it takes.',
      STRUCTURE_MISMATCH: 'The parts of the data do not fit together.',
      LABEL_OUT_OF_RANGE: 'There is a label that is none of the classes.',
      NOT_FINITE: 'The training got out of hand: a value became infinite. Try a smaller learning rate.',
      OUT_OF_MEMORY: 'The memory does not suffice. Try smaller batches or a smaller network.',
      BACKEND_UNAVAILABLE: 'This browser cannot compute in that way. Choose the processor (wasm) instead.',
      BACKEND_FAILED: 'The graphics processor refused the work. The run can go on from its last checkpoint.',
      DEVICE_LOST:
        'The graphics processor was lost (its driver restarted, or the computer slept). Nothing is lost but the steps since the last checkpoint: resume the run.',
      UNKNOWN_NAME: 'There is a name that the studio does not know.',
      SAFETENSORS_INVALID: 'The file of weights is damaged.',
      ARTIFACT_INVALID: 'The saved model or experiment is damaged or incomplete.',
      FORMAT_TOO_NEW: 'The file comes from a newer version of Tenon.',
      CHECKPOINT_INVALID: 'The checkpoint belongs to another experiment or is damaged.',
      NOT_FOUND: 'Something that is needed is not there.',
      PERMISSION_DENIED: 'The browser did not allow it.',
      STORAGE_FULL:
        'The storage that the browser gives this page is full. Remove runs or data that you no longer need, then go on: nothing that was stored is lost.',
      STORAGE_FAILED: 'The browser could not store the file.',
      DATA_INVALID: 'The file does not hold what was expected.',
      USAGE: 'This does not work at the moment.',
      TOO_LARGE: 'That is too large for this page: larger data is for the command line. Nothing was read.',
      NOT_UNDERSTOOD:
        'The studio does not know what to make of these files. The details say what it can read.',
      DOCUMENT_INVALID: 'This is no experiment that the studio can open.',
      WORKER_FAILED:
        'A part of the studio could not be loaded, or broke. Reload the page: what was stored is still there.',
      IN_USE: 'This run is open in another tab. Go on there, or close that tab first.',
      other: 'Something unexpected happened.',
    } as { readonly [code: string]: string },
  },
  zh: {
    known: {
      INVALID_ARGUMENT: '某个设置的值无法使用。',
      SHAPE_MISMATCH: '两个部分的大小不相符。',
      DTYPE_MISMATCH: '某个部分收到的数值类型不对。',
      STRUCTURE_MISMATCH: '数据的各部分不相符。',
      LABEL_OUT_OF_RANGE: '有一个标签不属于任何类别。',
      NOT_FINITE: '训练失控：某个数值变成了无穷大。请尝试更小的学习率。',
      OUT_OF_MEMORY: '内存不足。请尝试更小的批次或更小的网络。',
      BACKEND_UNAVAILABLE: '此浏览器无法这样计算。请改用处理器（wasm）。',
      BACKEND_FAILED: '图形处理器拒绝了这项工作。可以从最近的检查点继续。',
      DEVICE_LOST:
        '与图形处理器的连接已断开（驱动重启或电脑休眠）。只有最近检查点之后的几步需要重算：请继续训练。',
      UNKNOWN_NAME: '有一个工作室不认识的名称。',
      SAFETENSORS_INVALID: '权重文件已损坏。',
      ARTIFACT_INVALID: '保存的模型或实验已损坏或不完整。',
      FORMAT_TOO_NEW: '该文件来自更新版本的 Tenon。',
      CHECKPOINT_INVALID: '检查点属于另一个实验，或者已损坏。',
      NOT_FOUND: '缺少所需的内容。',
      PERMISSION_DENIED: '浏览器不允许这样做。',
      STORAGE_FULL:
        '浏览器分配给此页面的存储空间已满。请删除不再需要的训练或数据，然后继续：已保存的内容不会丢失。',
      STORAGE_FAILED: '浏览器无法保存文件。',
      DATA_INVALID: '文件的内容不符合预期。',
      USAGE: '现在无法这样做。',
      TOO_LARGE: '对这个页面来说太大了：更大的数据请用命令行。没有读取任何内容。',
      NOT_UNDERSTOOD: '工作室不认识这些文件。详情中列出了可以读取的内容。',
      DOCUMENT_INVALID: '这不是工作室能打开的实验。',
      WORKER_FAILED: '工作室的一部分无法加载或已出错。请重新加载页面：已保存的内容仍在。',
      IN_USE: '这个训练已在另一个标签页中打开。请在那里继续，或先关闭那个标签页。',
      other: '发生了意外情况。',
    },
  },
});
