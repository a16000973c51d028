throw new Error('the library of this function is not installed any more');
