import { inBoth } from './texts.js';

export const drawing = inBoth({
  en: {
    pad: 'Drawing pad',
    help: 'Draw with a finger, a pen or the mouse. With the keyboard: the arrow keys move the pen, the space bar puts it down and lifts it, Delete clears.',
    penWidth: 'Pen width',
    clear: 'Clear',
    penDown: 'The pen is down.',
    penUp: 'The pen is lifted.',
    cleared: 'The pad is empty.',
  },
  zh: {
    pad: '画板',
    help: '用手指、触控笔或鼠标画。用键盘时：方向键移动画笔，空格键落笔或抬笔，Delete 键清空。',
    penWidth: '笔的粗细',
    clear: '清空',
    penDown: '已落笔。',
    penUp: '已抬笔。',
    cleared: '画板已清空。',
  },
});
