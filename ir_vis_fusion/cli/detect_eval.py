"""``ivf detect-eval``: what fusion does for a detector, on labelled pairs."""

import argparse
from pathlib import Path
from typing import Any

from ir_vis_fusion.cli.methods import (
    add_method_options,
    make_methods,
    prepare_files,
    prepare_table,
    provenance,
    write_files,
    write_table,
)
from ir_vis_fusion.cli.options import count
from ir_vis_fusion.cli.table import format_table

FORMATS = ('auto', 'yolov5', 'yolov8', 'fastestdet')


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'detect-eval',
        help='measure what a detector finds in fused images, beside each input alone',
        description='Runs a detector over the visible and infrared images, their mean, maximum '
        'and Laplacian pyramid, folders of fused images and models; prints AP50 and mAP.',
        conflict_handler='resolve',
    )
    parser.add_argument(
        '--detector', type=Path, required=True, metavar='FILE', help='detector as .onnx'
    )
    parser.add_argument(
        '--format',
        choices=FORMATS,
        default='auto',
        help='layout of its output (default: told by its shape); yolov8 stands for v11 too',
    )
    parser.add_argument(
        '--classes',
        type=Path,
        metavar='FILE',
        help="YAML that maps the labels' classes to the detector's (default: person, bicycle, car "
        'of COCO, see config/detection.yaml)',
    )
    parser.add_argument(
        '--labels', type=Path, required=True, metavar='DIR', help='YOLO labels, NAME.txt'
    )
    parser.add_argument(
        '--score', type=float, default=0.01, help='least score of a box (default: %(default)s)'
    )
    parser.add_argument(
        '--overlap',
        type=float,
        default=0.45,
        help='IoU above which the weaker of two boxes of a class goes (default: %(default)s)',
    )
    parser.add_argument(
        '--copies',
        type=count,
        default=1,
        metavar='N',
        help='look at N mirrored and slightly cropped copies of each image, and give the mean and '
        'standard deviation of the figures: how much of them is chance (default: %(default)s)',
    )
    add_method_options(parser, required_json=False)
    return parser


def run(options: argparse.Namespace) -> int:
    """Fuse, detect, print the table and write the results."""
    from ir_vis_fusion.evaluation.detection import (
        evaluate_detection,
        read_classes,
        read_labels,
        require_pycocotools,
        table_rows,
    )
    from ir_vis_fusion.evaluation.detectors import Detector
    from ir_vis_fusion.evaluation.image_sets import list_pairs

    require_pycocotools()
    classes = read_classes(options.classes)
    detector = Detector(
        options.detector, options.format, list(classes.values()), options.score, options.overlap
    )
    pairs = list_pairs(options.thermal, options.visible, options.list)
    labels = read_labels(options.labels, pairs, len(classes))
    prepare_files(options)
    prepare_table(options, 'detect-eval')
    methods = make_methods(options, pairs)
    results, found = evaluate_detection(
        pairs, methods, detector, labels, list(classes), options.copies
    )
    results['configuration'] |= provenance(options)
    rows = table_rows(results)
    print(format_table(rows))
    counts = ', '.join(f'{n} {name}' for name, n in results['configuration']['labels'].items())
    print(f'\n{len(pairs)} pair(s) with {counts}; the mean is over classes that have labels')
    if options.copies > 1:
        print(f'± standard deviation over {options.copies} mirrored and cropped copies')

    def draw_page() -> str:
        from ir_vis_fusion.evaluation.detection_report import detection_report

        return detection_report(results, pairs, methods, labels, found)

    write_files(options, results, draw_page)
    write_table(options, 'detect-eval', rows)
    return 0
